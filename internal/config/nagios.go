package config

import "strings"

// Nagios names the unit to a Nagios server.
type Nagios struct {
	Context string
	// Groups are the service groups of nagios_servicegroups, or else the context.
	Groups []string
}

func (r *reader) nagios() Nagios {
	nagios := Nagios{Context: r.text("nagios_context")}
	for group := range strings.SplitSeq(r.text("nagios_servicegroups"), ",") {
		if group = strings.TrimSpace(group); group != "" {
			nagios.Groups = append(nagios.Groups, group)
		}
	}
	if nagios.Groups == nil && nagios.Context != "" {
		nagios.Groups = []string{nagios.Context}
	}
	return nagios
}
