package operator

import (
	"context"
	"errors"
	"time"

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

// noticeTime is how long a unit whose registry is down puts off its end. A proxy needs up
// to 4 s to notice, by five checks in a row, the first of which comes within 2 s.
const noticeTime = 5 * time.Second

// Stop takes the registry down, because the unit is about to go.
func (o *Operator) Stop(ctx context.Context) error {
	return errors.Join(
		o.removeRegistry(ctx),
		o.report(ctx, desired.Status{Level: desired.Maintenance, Message: "Registry stopped; the unit is being removed."}),
		letNotice(ctx))
}

// letNotice returns when proxies have noticed that the registry is down and turned to
// another unit. The proxy is told before the unit stops that this one leaves it, and may
// forget a server at any time: if it has not noticed by then, it refuses what it holds back
// for it. Whether there is a proxy or another unit is not known here: Juju has taken all
// relations away.
func letNotice(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(noticeTime):
		return nil
	}
}

// Remove takes everything off the machine but the images.
func (o *Operator) Remove(ctx context.Context) error {
	images, err := o.whereImagesAre()
	if err != nil {
		return err
	}
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
	o.Log.Info("unit removed from the machine, images kept", "images", images)
	return nil
}

// whereImagesAre is where to look for them once the unit is gone.
func (o *Operator) whereImagesAre() (string, error) {
	kept, err := recorded[storageRecorded](o.Host, storageRecord)
	if err != nil || kept == nil || kept.Images.ID == "" {
		return o.Layout.Data(), err
	}
	return "storage " + kept.Images.ID, nil
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
