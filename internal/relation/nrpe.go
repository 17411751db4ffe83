package relation

import (
	"fmt"
	"slices"
	"strings"
)

// MonitorBag tells nrpe-external-master which checks there are, by their short names. It
// takes back the timestamp by which the charm that this one replaces told of a change.
func MonitorBag(names []string) Bag {
	var monitors strings.Builder
	monitors.WriteString("monitors:\n  remote:\n    nrpe:\n")
	for _, name := range slices.Sorted(slices.Values(names)) {
		fmt.Fprintf(&monitors, "      %s:\n        command: check_%s\n", name, name)
	}
	return Bag{"primary": "True", "monitors": monitors.String(), "timestamp": ""}
}

// NagiosHost is what the remote unit says that Nagios calls this machine, "" if it
// does not.
func (r Relation) NagiosHost() string { return address(r.merged()["nagios_hostname"]) }
