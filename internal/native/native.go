// Package native runs the registry without Docker: as a hardened service where
// systemd is in charge of the machine, else as a process under a supervisor that
// outlives the hook. What to run is left to package desired; who may own which file,
// to package host.
package native

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"docker-registry-operator/internal/desired"
)

// Options say where to run what.
type Options struct {
	Layout desired.Layout
	// Registry is the path of the registry's binary. A file of the same name with
	// ".sha256" added holds its digest in hex.
	Registry string
	// Supervisor is the beginning of a command that ends up in [Supervise]: the
	// service's directory and its log are added as its last two arguments.
	Supervisor []string
	Log        *slog.Logger
}

// Host is a machine that runs registries without Docker. Its zero value is not
// meaningful: make one with [New].
type Host struct {
	options    Options
	supervisor supervisor
	// patience is how long a registry may take until it serves, and silence how long
	// a running one may not answer before another takes its place.
	patience, silence time.Duration
	// drain is how long a hook waits for a predecessor to end before it leaves that
	// to a later hook.
	drain time.Duration
}

// supervisor keeps services running. It starts one again that ends otherwise than
// with exit code 0.
type supervisor interface {
	start(ctx context.Context, s service) error
	// running says whether the service is under supervision: it runs, or will again.
	running(ctx context.Context, s service) (bool, error)
	// failed says whether the service has ended with an error since its start, and why.
	failed(ctx context.Context, s service) (reason string, failed bool, err error)
	// stop ends a service after the requests that it has, and does nothing to one
	// that does not run.
	stop(ctx context.Context, s service) error
	// forget removes what start has left of a service that does not run.
	forget(ctx context.Context, s service) error
}

// systemdDir exists where systemd is in charge, sd_booted(3).
const systemdDir = "/run/systemd/system"

// New is the machine that the charm runs on. Its services are systemd's where that
// is in charge, unless the charm is not root or keeps its files under a root of
// their own.
func New(options Options) *Host {
	h := &Host{
		options:  options,
		patience: 30 * time.Second,
		silence:  5 * time.Second,
		drain:    3 * time.Second,
	}
	_, err := os.Stat(systemdDir)
	if err == nil && os.Geteuid() == 0 && options.Layout.Root == "" {
		h.supervisor = systemd{units: unitDir, run: systemctl}
	} else {
		h.supervisor = processes{command: options.Supervisor, log: options.Layout.State() + "/log"}
	}
	return h
}

// Ensure makes w run as a service, or keeps it down if w.Stopped. A successor serves
// before its predecessor retires. It may be interrupted at any point: the next Ensure
// goes on from what it finds. The error is [desired.Refused] if the registry does not
// take its configuration.
func (h *Host) Ensure(ctx context.Context, w desired.Workload) (desired.Outcome, error) {
	own, err := h.services(w.Unit)
	if err != nil {
		return desired.Outcome{}, err
	}
	if w.Stopped {
		return h.halt(ctx, own)
	}
	wanted, err := h.plan(w)
	if err != nil {
		return desired.Outcome{}, err
	}
	c := &change{Host: h, workload: w, wanted: wanted}
	if err := c.apply(ctx, own); err != nil {
		return desired.Outcome{}, err
	}
	return c.outcome, nil
}

func (h *Host) halt(ctx context.Context, own []service) (desired.Outcome, error) {
	outcome := desired.Outcome{}
	for _, s := range own {
		if err := h.end(ctx, s); err != nil {
			return desired.Outcome{}, err
		}
		outcome = desired.Outcome{Done: "stopped", Reason: "stop was asked for"}
	}
	return outcome, nil
}

// Retire ends every registry of the unit without cutting what it is doing, because
// another runtime serves in its place. One that takes longer is left to a later
// Retire.
func (h *Host) Retire(ctx context.Context, unit string) error {
	own, err := h.services(unit)
	if err != nil {
		return err
	}
	c := &change{Host: h}
	if err := c.retireOthers(ctx, own); err != nil {
		return err
	}
	return h.dropBinaries()
}

// Remove stops and removes every registry of the unit, and the binaries that none
// uses any more.
func (h *Host) Remove(ctx context.Context, unit string) error {
	own, err := h.services(unit)
	if err != nil {
		return err
	}
	for _, s := range own {
		if err := h.end(ctx, s); err != nil {
			return err
		}
	}
	return h.dropBinaries()
}

// end stops a service and removes all that there is of it.
func (h *Host) end(ctx context.Context, s service) error {
	if err := h.supervisor.stop(ctx, s); err != nil {
		return err
	}
	return h.remove(ctx, s)
}

func (h *Host) remove(ctx context.Context, s service) error {
	if err := h.supervisor.forget(ctx, s); err != nil {
		return err
	}
	if err := os.Remove(s.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.RemoveAll(s.dir)
}

func (h *Host) path(elements ...string) string {
	return filepath.Join(append([]string{h.options.Layout.State()}, elements...)...)
}

// pause waits between two looks at something, and says whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
