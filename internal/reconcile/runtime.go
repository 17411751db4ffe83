package reconcile

import (
	"context"

	"docker-registry-operator/internal/desired"
)

// Runtime runs the registry.
type Runtime interface {
	// Ensure makes w run, or keeps it down if w.Stopped, and says what it had to do.
	// Whatever serves keeps serving until its successor does. It does nothing if
	// all is as w says. A configuration that the registry does not take is a
	// [*desired.Refused] error, and then what ran before runs on, or does so again once
	// the outcome's Resume was called.
	Ensure(ctx context.Context, w desired.Workload) (desired.Outcome, error)
	// Repositories counts what the storage of the unit's registry holds, as long as that
	// serves with config.yml of this digest; else, and where it has no way to tell, the
	// count is not known.
	Repositories(ctx context.Context, unit, config string) desired.Count
	// Retire ends every registry of the unit once its requests are finished, because
	// another runtime serves in its place. One that takes long is left to a later
	// Retire. It does nothing if there is none.
	Retire(ctx context.Context, unit string) error
	// Remove removes every registry of the unit; images are left alone. It does
	// nothing if there is none.
	Remove(ctx context.Context, unit string) error
}

// Host is the machine without its registry.
type Host interface {
	// Sync makes the owned files these. A file that is right is not written.
	Sync(files []desired.File) (desired.Change, error)
	// PrepareData makes the directories that the registry writes to, with images in dir.
	PrepareData(dir string) error
	// TakeOver gives files in a directory of images to the registry's user, for a bounded
	// time.
	TakeOver(ctx context.Context, dir string) (desired.Progress, error)
	// EnsureClient lets the host's own Docker reach the registry, and says in notes
	// what it must leave to the operator.
	EnsureClient(ctx context.Context, client desired.Client) (notes []string, err error)
	// EnsureMonitoring has NRPE use those of files that are its own, and says in note what
	// it must leave to the operator, "" if nothing.
	EnsureMonitoring(ctx context.Context, files []desired.File) (note string, err error)
}

// Juju is what is told to Juju of a unit.
type Juju interface {
	// Publish changes what the unit tells over a relation; an empty value removes a key.
	Publish(ctx context.Context, id string, settings map[string]string) error
	// PublishApp changes what the unit's application tells; only the leader may.
	PublishApp(ctx context.Context, id string, settings map[string]string) error
	OpenedPorts(ctx context.Context) ([]int, error)
	OpenPort(ctx context.Context, port int) error
	ClosePort(ctx context.Context, port int) error
}
