// Package operator is the pipeline of every hook: it reads the unit, decides, makes
// it so and reports the status. It alone decides what an error means for the unit.
package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/reconcile"
)

// Operator runs a unit.
type Operator struct {
	Unit   Unit
	Host   Host
	Docker Engine
	Native reconcile.Runtime
	Images Images
	Layout desired.Layout
	// User is who runs the registry.
	User desired.Identity
	Now  func() time.Time
	Log  *slog.Logger
}

// Host is the machine as the pipeline reads and prepares it.
type Host interface {
	reconcile.Host
	// ReadFiles are the contents of those of paths that exist and that the charm did
	// not write itself. What cannot be read is a [*fs.PathError].
	ReadFiles(paths []string) (map[string][]byte, error)
	// ForeignData says that a directory of images is not yet the registry's own.
	ForeignData(dir string) (bool, error)
	// IsDir says that there is a directory.
	IsDir(dir string) bool
	// Move copies a directory of images to another place, as far as it comes in a
	// bounded time; the next call goes on. The last one, during which nothing may change
	// them, makes the copy whole and puts it in its place. What is copied stays.
	Move(ctx context.Context, from, to string, last bool) (desired.Progress, error)
	// Repositories counts those in a directory of images, and HasRepositories says
	// whether there is any.
	Repositories(dir string) desired.Count
	HasRepositories(dir string) bool
	// Htpasswd is the password file as it is, nil if there is none.
	Htpasswd() ([]byte, error)
	// Authorities says that the host has a directory of trusted authorities.
	Authorities() bool
	// Hostname is the machine's name.
	Hostname() (string, error)
	// Monitoring says that the machine has the directories of NRPE's checks and of what
	// Nagios is told of them.
	Monitoring() (checks, exports bool)
	// Inherit makes what the charm that this one replaces left on the machine the
	// charm's own, and says whether there is such a thing. It changes nothing but
	// records.
	Inherit(ctx context.Context) (bool, error)
	// Bury removes what else that charm left, once a registry of this one serves.
	Bury(ctx context.Context) error
	// Prepare brings packages, and with docker a Docker Engine that answers, to the
	// machine, and says in notes what it leaves to the operator. It does nothing if
	// all is there. progress hears what takes long before it is begun.
	Prepare(ctx context.Context, conf config.Host, proxy desired.Proxy, docker bool, progress func(string)) (notes []string, err error)
	// Record is a value that an earlier hook recorded, "" if there is none.
	Record(name string) (string, error)
	// SetRecord records a value for later hooks; "" forgets it.
	SetRecord(name, value string) error
	// Remove takes back what the charm did to the machine, but for images and
	// packages.
	Remove(ctx context.Context) error
}

// Engine is the Docker Engine: a runtime that also has images.
type Engine interface {
	reconcile.Runtime
	// Image says what ref is; it is pulled if the engine does not have it.
	Image(ctx context.Context, ref string, progress func(string)) (desired.Image, error)
}

// Converge makes the unit what its options and its machine ask for, and reports
// its status. An operator's mistake leaves the unit blocked, and what runs running.
func (o *Operator) Converge(ctx context.Context) error {
	status, err := o.converge(ctx)
	if err != nil {
		cause := err
		if status, err = fate(cause); err != nil {
			return err
		}
		if status.Level == desired.Waiting {
			o.Log.Warn("unit waits", "reason", cause)
		}
	}
	return o.report(ctx, status)
}

func (o *Operator) converge(ctx context.Context) (desired.Status, error) {
	if err := o.claim(); err != nil {
		return desired.Status{}, err
	}
	inherits, err := o.inherit(ctx)
	if err != nil {
		return desired.Status{}, err
	}
	place, err := o.shelve(ctx)
	if err != nil {
		return desired.Status{}, err
	}
	conf, err := o.config(ctx)
	if err != nil {
		return desired.Status{}, err
	}
	if inherits {
		// Only there the other charm's container can make room for its successor. The
		// next hook, which comes at once after a refresh, goes on to another runtime.
		conf.Container.Runtime = config.Docker
	}
	notes, err := o.Host.Prepare(ctx, conf.Host, o.Unit.Proxy(), conf.Container.Runtime == config.Docker, o.progress(ctx))
	if err != nil {
		return desired.Status{}, err
	}
	done, err := o.apply(ctx, conf, place)
	if err == nil && done.result.TakenOver {
		done, err = o.apply(ctx, conf, place)
	}
	if err == nil && place.target != "" {
		done, err = o.move(ctx, conf, done)
	}
	if err != nil {
		return desired.Status{}, err
	}
	if inherits {
		o.bury(ctx)
	}
	// A registry that is stopped keeps the version that it told; an image without an
	// admin socket tells none.
	if version := done.result.Version; version != "" || done.state.Workload.Sockets == "" {
		if err := o.setVersion(ctx, version); err != nil {
			return desired.Status{}, err
		}
	}
	requested, err := o.takeIn(ctx, done.in)
	if err != nil {
		return desired.Status{}, err
	}
	status := done.result.Upstream.Degrade(done.state.Status, conf.Mirror)
	if failing := done.result.Failing; failing != nil {
		status = desired.Failing(failing)
	}
	for _, left := range done.left {
		status.Message += " " + left.Note()
	}
	if place.note != "" {
		notes = append(notes, place.note)
	}
	for _, note := range slices.Concat(notes, done.result.Notes, requested) {
		status.Message += " " + note
	}
	return status, nil
}

// config is what the options ask for.
func (o *Operator) config(ctx context.Context) (config.Config, error) {
	options, err := o.options(ctx)
	if err != nil {
		return config.Config{}, err
	}
	return config.Parse(options)
}

// applied is what a unit was made from, what it was to be, and what came of it.
type applied struct {
	in     desired.Input
	state  desired.State
	result reconcile.Result
	// shelf is where the images were found.
	shelf shelf
	// left is where images may be that the registry does not serve.
	left []desired.Left
}

func (o *Operator) apply(ctx context.Context, conf config.Config, place shelf) (done applied, err error) {
	done.shelf = place
	if done.in, err = o.read(ctx, conf, place.dir); err != nil {
		return done, err
	}
	if err := o.request(&done.in); err != nil {
		return done, err
	}
	reconciler := o.reconciler(conf.Container.Runtime)
	if err := reconciler.Publish(ctx, desired.Requests(done.in)); err != nil {
		return done, err
	}
	if done.state, err = desired.For(done.in); err != nil {
		return done, err
	}
	if place.missing != nil && done.state.ServesData() {
		return done, place.missing
	}
	if err := o.leave(ctx, reconciler.Runtime, done.state); err != nil {
		return done, err
	}
	done.result, err = reconciler.Apply(ctx, done.state)
	if refused := (*desired.Refused)(nil); errors.As(err, &refused) {
		err = o.explain(refused, conf)
	}
	if err != nil {
		return done, err
	}
	if done.left, err = o.settle(done.state); err != nil {
		return done, err
	}
	return done, o.keep(done.state.Issued)
}

// reconciler runs the registry in the chosen runtime, and in no other.
func (o *Operator) reconciler(runtime config.Runtime) reconcile.Reconciler {
	r := reconcile.Reconciler{Runtime: o.Docker, Others: []reconcile.Runtime{o.Native}, Host: o.Host, Juju: o.Unit, Log: o.Log}
	if runtime == config.Native {
		r.Runtime, r.Others = o.Native, []reconcile.Runtime{o.Docker}
	}
	return r
}

// setVersion tells Juju the version of the registry when it is another one; "" is one
// that nobody knows.
func (o *Operator) setVersion(ctx context.Context, version string) error {
	told, err := o.Host.Record("version")
	if err != nil || version == told {
		return err
	}
	if err := o.Unit.SetVersion(ctx, version); err != nil {
		return err
	}
	return o.Host.SetRecord("version", version)
}

// claim makes the machine this unit's. The paths of configuration and images are
// fixed, so two units cannot share a machine.
func (o *Operator) claim() error {
	owner, err := o.Host.Record("unit")
	if err != nil || owner == o.Unit.Name() {
		return err
	}
	if owner != "" {
		return &blocked{fmt.Sprintf("unit %s already keeps a registry on this machine; place this unit on another one", owner)}
	}
	return o.Host.SetRecord("unit", o.Unit.Name())
}

// report sets the unit's status unless it is already so.
func (o *Operator) report(ctx context.Context, status desired.Status) error {
	current, err := o.Unit.Status(ctx)
	if err != nil || current == status {
		return err
	}
	return o.Unit.SetStatus(ctx, status)
}

// progress shows in the status what takes long.
func (o *Operator) progress(ctx context.Context) func(string) {
	return func(message string) {
		o.Log.Info(message)
		if err := o.Unit.SetStatus(ctx, desired.Status{Level: desired.Maintenance, Message: message}); err != nil {
			o.Log.Warn("status not set", "error", err)
		}
	}
}
