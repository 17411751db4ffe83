package docker

import (
	"context"

	"docker-registry-operator/internal/desired"
)

// Ensure makes w run as a container, or keeps its containers down if w.Stopped. With
// an image that has an admin socket a successor serves before its predecessor
// retires; other images are stopped first. It may be interrupted at any point: the
// next Ensure goes on from what it finds.
//
// The error is [desired.Refused] if the registry does not take its configuration,
// [*desired.NameTaken] if a stranger has the container's name, and wraps [desired.ErrNoEngine]
// or [ErrNoSuchImage] where those are the cause.
func (e *Engine) Ensure(ctx context.Context, w desired.Workload) (desired.Outcome, error) {
	outcome, err := e.ensure(ctx, w)
	return outcome, e.cause(err)
}

func (e *Engine) ensure(ctx context.Context, w desired.Workload) (desired.Outcome, error) {
	own, err := e.own(ctx, w.Unit)
	if err != nil {
		return desired.Outcome{}, err
	}
	if w.Stopped {
		return e.halt(ctx, own)
	}
	s := spec{workload: w, root: e.root()}
	if s.image, err = e.image(ctx, w.Image); err != nil {
		return desired.Outcome{}, err
	}
	digest, err := s.digest()
	if err != nil {
		return desired.Outcome{}, err
	}
	c := &change{Engine: e, spec: s, digest: digest}
	if err := c.apply(ctx, own); err != nil {
		return desired.Outcome{Resume: c.outcome.Resume}, err
	}
	return c.outcome, nil
}

// halt keeps every container of the unit down, and those that another charm left.
func (e *Engine) halt(ctx context.Context, own []box) (desired.Outcome, error) {
	legacy, err := e.legacy(ctx)
	if err != nil {
		return desired.Outcome{}, err
	}
	outcome := desired.Outcome{}
	for _, b := range append(own, legacy...) {
		if !b.running() {
			continue
		}
		if err := e.stop(ctx, b); err != nil {
			return desired.Outcome{}, err
		}
		outcome = desired.Outcome{Done: "stopped", Reason: "stop was asked for"}
	}
	return outcome, nil
}

// Remove stops and removes every container of the unit and those that another charm
// left, and the built-in images that no other container uses.
func (e *Engine) Remove(ctx context.Context, unit string) error {
	own, err := e.own(ctx, unit)
	if err != nil {
		return e.cause(err)
	}
	legacy, err := e.legacy(ctx)
	if err != nil {
		return e.cause(err)
	}
	for _, b := range append(own, legacy...) {
		if err := e.stopAndRemove(ctx, b); err != nil {
			return e.cause(err)
		}
	}
	return e.cause(e.dropImages(ctx, ""))
}

func (e *Engine) stopAndRemove(ctx context.Context, b box) error {
	if b.running() {
		if err := e.stop(ctx, b); err != nil {
			return err
		}
	}
	return e.remove(ctx, b)
}
