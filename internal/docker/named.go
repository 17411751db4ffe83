package docker

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
)

// Start starts the container of this name. It does nothing to one that runs. The
// error wraps [ErrNoSuchContainer] if there is none.
func (e *Engine) Start(ctx context.Context, name string) error {
	b, err := e.named(ctx, name)
	if err != nil {
		return fmt.Errorf("cannot start container %q: %w", name, e.cause(err))
	}
	return e.cause(e.run(ctx, b))
}

// Stop stops the container of this name, and removes it if asked to. The error wraps
// [ErrNoSuchContainer] if there is none.
func (e *Engine) Stop(ctx context.Context, name string, remove bool) error {
	b, err := e.named(ctx, name)
	if err != nil {
		return fmt.Errorf("cannot stop container %q: %w", name, e.cause(err))
	}
	if err := e.stop(ctx, b); err != nil || !remove {
		return e.cause(err)
	}
	return e.cause(e.remove(ctx, b))
}

// named finds a container by its whole name: the Engine would also find one by the
// beginning of its ID.
func (e *Engine) named(ctx context.Context, name string) (box, error) {
	found, err := e.api.ContainerInspect(ctx, name)
	if errdefs.IsNotFound(err) || err == nil && found.Name != "/"+name {
		return box{}, ErrNoSuchContainer
	}
	if err != nil {
		return box{}, err
	}
	b := box{id: found.ID, name: name, state: found.State.Status, labels: map[string]string{}}
	if found.Config != nil {
		b.labels = found.Config.Labels
	}
	if _, own := b.labels[labelUnit]; !own {
		b.foreign = true
	}
	return b, nil
}
