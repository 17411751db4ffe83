package operator

import (
	"context"
	"errors"

	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/reconcile"
)

// stoppedRecord remembers that an operator stopped the registry, so that no hook
// starts it again.
const stoppedRecord = "stopped"

// Pause stops the registry until Resume, and removes its container if asked to.
func (o *Operator) Pause(ctx context.Context, remove bool) error {
	if err := o.Host.SetRecord(stoppedRecord, "true"); err != nil {
		return err
	}
	if remove {
		if err := o.removeRegistry(ctx); err != nil {
			return err
		}
	}
	return o.Converge(ctx)
}

// Resume starts the registry again.
func (o *Operator) Resume(ctx context.Context) error {
	if err := o.Host.SetRecord(stoppedRecord, ""); err != nil {
		return err
	}
	return o.Converge(ctx)
}

func (o *Operator) stopped() (bool, error) {
	record, err := o.Host.Record(stoppedRecord)
	return record != "", err
}

// Stop takes the registry down, because the unit is about to go.
func (o *Operator) Stop(ctx context.Context) error {
	return errors.Join(
		o.removeRegistry(ctx),
		o.report(ctx, desired.Status{Level: desired.Maintenance, Message: "Registry stopped; the unit is being removed."}))
}

// Remove takes everything off the machine but the images.
func (o *Operator) Remove(ctx context.Context) error {
	if err := o.removeRegistry(ctx); err != nil {
		return err
	}
	ports, err := o.Unit.OpenedPorts(ctx)
	if err != nil {
		return err
	}
	for _, port := range ports {
		if err := o.Unit.ClosePort(ctx, port); err != nil {
			return err
		}
	}
	if err := o.Host.Remove(ctx); err != nil {
		return err
	}
	o.Log.Info("unit removed from the machine, images kept", "images", o.Layout.Data())
	return nil
}

// Hold says that the machine is about to change under the unit. What runs is left
// alone; the hook that follows converges.
func (o *Operator) Hold(ctx context.Context) error {
	return o.report(ctx, desired.Status{Level: desired.Blocked, Message: "Series upgrade in progress."})
}

func (o *Operator) removeRegistry(ctx context.Context) error {
	var errs []error
	for _, runtime := range []reconcile.Runtime{o.Docker, o.Native} {
		if err := runtime.Remove(ctx, o.Unit.Name()); err != nil && !errors.Is(err, desired.ErrNoEngine) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
