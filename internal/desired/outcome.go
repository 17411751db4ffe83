package desired

import (
	"errors"
	"fmt"
)

// Outcome is what making a workload run found and did.
type Outcome struct {
	// Done is a past-tense word for the log, such as "created", "replaced",
	// "reloaded", "started" or "stopped"; "" if nothing was to be done.
	Done string
	// Reason says why, "configuration changed".
	Reason string
	// Version is the version of the registry that runs, "" if it cannot be known.
	Version string
	// Upstream is what is wrong with the registry that this one is a cache of.
	Upstream Upstream
	// Writing says that requests that may change what is stored are under way, maybe in
	// a predecessor that serves no others.
	Writing bool
	// Failing are the health checks by which the registry answers nobody, with the reason
	// of each; nil if none fails.
	Failing map[string]string
	// Resume starts again what had to stop for a registry that then failed, once the
	// files are what they were; nil if nothing had to.
	Resume func() error
}

// Refused says that a registry would not take its configuration or could not
// start with it.
type Refused struct {
	Reason string
}

// Error is the registry's own reason.
func (r *Refused) Error() string {
	return fmt.Sprintf("registry refused its configuration: %s", r.Reason)
}

// Change is what was done to the owned files.
type Change struct {
	Written, Removed []string // paths
	// Undo puts back what was there before.
	Undo func() error
}

// Progress is how far the take-over of foreign files in the data directory came.
type Progress struct {
	// Files are the files and directories seen since the take-over began.
	Files int
	Done  bool
}

// ErrNoEngine says that no Docker Engine answers.
var ErrNoEngine = errors.New("no Docker Engine answers")

// ErrMalformed says that a file of the machine, which others write too, cannot be
// understood.
var ErrMalformed = errors.New("file is malformed")

// NameTaken says that the registry's container cannot have its name, because a
// container of somebody else has it.
type NameTaken struct {
	Name string
}

// Error names the container.
func (n *NameTaken) Error() string {
	return fmt.Sprintf("a container named %q exists that is not this unit's", n.Name)
}

// Proxy is what the charm itself downloads through: URLs and a comma-separated list
// of exceptions; "" where there is none.
type Proxy struct {
	HTTP, HTTPS, No string
}
