package desired

import "path"

// Layout says where the unit's files are on the host. Every path is the same in
// the registry's container.
type Layout struct {
	// Root is put before every path; "" on a unit.
	Root string
}

// Config is the directory of files that the registry reads.
func (l Layout) Config() string { return l.On("/etc/docker/registry") }

// Data is the directory of images.
func (l Layout) Data() string { return l.On("/srv/registry") }

// State is the directory of the charm's own records.
func (l Layout) State() string { return l.On("/var/lib/docker-registry") }

// Sockets is the directory of admin sockets, owned by the registry's user.
func (l Layout) Sockets() string { return l.On("/var/lib/docker-registry/run") }

// Checks is the directory of NRPE's checks.
func (l Layout) Checks() string { return l.On("/etc/nagios/nrpe.d") }

// Exports is the directory of what Nagios is told of checks.
func (l Layout) Exports() string { return l.On("/var/lib/nagios/export") }

// On is where a path of the host is under this layout.
func (l Layout) On(name string) string { return path.Join("/", l.Root, name) }
