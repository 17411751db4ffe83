// Package reconcile makes a unit what package desired says it should be. It owns
// the small interfaces of the adapters that do the work, and reports what the
// operator should know; choosing the unit's status is left to package operator.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"docker-registry-operator/internal/desired"
)

// Reconciler applies states.
type Reconciler struct {
	// Runtime runs the registry; Others must not run one any more.
	Runtime Runtime
	Others  []Runtime
	Host    Host
	Juju    Juju
	Log     *slog.Logger
}

// Result is what came of applying a state.
type Result struct {
	// Version is the version of the registry that runs, "" if it is not known.
	Version string
	// Upstream is what is wrong with the registry that this one is a cache of.
	Upstream desired.Upstream
	// Failing are the registry's health checks that fail, with their reasons.
	Failing map[string]string
	// Notes are sentences for the operator about what is left to do.
	Notes []string
	// TakenOver says that the data directory has just become the registry's own, so
	// that a state decided anew would differ.
	TakenOver bool
	// Writing says that a registry may still store what clients sent it before.
	Writing bool
}

// Apply makes it so. Applied twice, it does nothing the second time. If the
// registry refuses its configuration, the files are put back and what ran runs on.
func (r Reconciler) Apply(ctx context.Context, state desired.State) (Result, error) {
	w := state.Workload
	if err := r.Host.PrepareData(state.Data); err != nil {
		return Result{}, err
	}
	outcome, err := r.serve(ctx, state)
	if err != nil {
		return Result{}, err
	}
	result := Result{
		Version: outcome.Version, Writing: outcome.Writing, Upstream: outcome.Upstream, Failing: outcome.Failing,
	}
	for _, other := range r.Others {
		if err := other.Retire(ctx, w.Unit); err != nil && !errors.Is(err, desired.ErrNoEngine) {
			return result, err
		}
	}
	if err := r.openPorts(ctx, state.Ports); err != nil {
		return result, err
	}
	if result.Notes, err = r.Host.EnsureClient(ctx, state.Client); err != nil {
		return result, err
	}
	if err := r.Publish(ctx, state.Databags); err != nil {
		return result, err
	}
	if note, err := r.Host.EnsureMonitoring(ctx, state.Files); err != nil {
		return result, err
	} else if note != "" {
		result.Notes = append(result.Notes, note)
	}
	if !state.TakeOver {
		return result, nil
	}
	return result, r.takeOver(ctx, state.Data, &result)
}

// Publish tells what is not told already.
func (r Reconciler) Publish(ctx context.Context, bags []desired.Databag) error {
	for _, bag := range bags {
		changes := bag.Changes()
		if changes == nil {
			continue
		}
		publish := r.Juju.Publish
		if bag.Application {
			publish = r.Juju.PublishApp
		}
		if err := publish(ctx, bag.Relation, changes); err != nil {
			return err
		}
		r.Log.Info("databag changed", "relation", bag.Relation, "keys", slices.Sorted(maps.Keys(changes)))
	}
	return nil
}

// serve writes the files and has the registry run with them.
func (r Reconciler) serve(ctx context.Context, state desired.State) (desired.Outcome, error) {
	change, err := r.Host.Sync(state.Files)
	if err != nil {
		return desired.Outcome{}, err
	}
	if len(change.Written)+len(change.Removed) > 0 {
		r.Log.Info("files changed", "written", change.Written, "removed", change.Removed)
	}
	outcome, err := r.Runtime.Ensure(ctx, state.Workload)
	if err != nil {
		return outcome, errors.Join(err, fallBack(err, change, outcome))
	}
	if outcome.Done != "" {
		r.Log.Info("registry "+outcome.Done, "name", state.Workload.Name, "reason", outcome.Reason)
	}
	return outcome, nil
}

// fallBack puts the files back after err, if the registry does not take them or what
// ran before has to start again with its own.
func fallBack(err error, change desired.Change, outcome desired.Outcome) error {
	refused := errors.As(err, new(*desired.Refused))
	if !refused && outcome.Resume == nil {
		return nil
	}
	err = undo(change)
	if outcome.Resume == nil {
		return err
	}
	return errors.Join(err, outcome.Resume())
}

func undo(change desired.Change) error {
	if err := change.Undo(); err != nil {
		return fmt.Errorf("cannot put back the former files: %w", err)
	}
	return nil
}

// openPorts opens what is missing before it closes what is too much.
func (r Reconciler) openPorts(ctx context.Context, want []int) error {
	have, err := r.Juju.OpenedPorts(ctx)
	if err != nil {
		return err
	}
	for _, port := range want {
		if !slices.Contains(have, port) {
			if err := r.Juju.OpenPort(ctx, port); err != nil {
				return err
			}
			r.Log.Info("port opened", "port", port)
		}
	}
	for _, port := range have {
		if !slices.Contains(want, port) {
			if err := r.Juju.ClosePort(ctx, port); err != nil {
				return err
			}
			r.Log.Info("port closed", "port", port)
		}
	}
	return nil
}

// takeOver goes on with giving foreign files to the registry's user, which the
// registry does not need to wait for.
func (r Reconciler) takeOver(ctx context.Context, dir string, result *Result) error {
	progress, err := r.Host.TakeOver(ctx, dir)
	if err != nil {
		return err
	}
	r.Log.Info("images taken over", "files", progress.Files, "done", progress.Done)
	result.TakenOver = progress.Done
	if !progress.Done {
		result.Notes = append(result.Notes, fmt.Sprintf("Taking over images: %d files so far.", progress.Files))
	}
	return nil
}
