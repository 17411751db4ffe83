package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"

	"docker-registry-operator/internal/admin"
)

// Retire ends every container of the unit without cutting what it is doing, because
// another runtime serves in its place. One that takes longer is left to a later
// Retire. Built-in images that no container uses are removed.
func (e *Engine) Retire(ctx context.Context, unit string) error {
	own, err := e.own(ctx, unit)
	if err == nil {
		c := &change{Engine: e, others: own}
		err = c.retireOthers(ctx)
	}
	if err == nil {
		err = e.dropImages(ctx, "")
	}
	return e.cause(err)
}

// retireOthers ends every container but the target without cutting what it is
// doing, and removes those that have ended. One that takes longer is left to a later
// Ensure.
func (c *change) retireOthers(ctx context.Context) error {
	end := time.Now().Add(c.drain)
	for _, b := range c.others {
		ended := !b.running()
		if !ended {
			var err error
			if ended, err = c.retire(ctx, b, end); err != nil {
				return err
			}
		}
		if !ended {
			c.outcome.Writing = true
			continue
		}
		if err := c.remove(ctx, b); err != nil {
			return err
		}
		c.note("removed", "predecessor has ended")
	}
	return nil
}

// retire tells a container to end and says whether it has by the end of the wait.
func (c *change) retire(ctx context.Context, b box, end time.Time) (ended bool, err error) {
	if b.labels[labelSocket] == "" {
		return true, c.stop(ctx, b)
	}
	status, err := b.status(ctx)
	if err == nil && status.State == admin.Retiring {
		return false, nil
	}
	if err == nil {
		err = c.dismiss(ctx, b)
	}
	if errors.Is(err, admin.ErrNoAnswer) {
		return true, c.stop(ctx, b)
	}
	if err != nil {
		return false, err
	}
	return c.ended(ctx, b, end)
}

// dismiss starts a retirement. The Engine must not start the registry again when it
// ends.
func (c *change) dismiss(ctx context.Context, b box) error {
	_, err := c.api.ContainerUpdate(ctx, b.id, container.UpdateConfig{
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
	})
	if err != nil {
		return fmt.Errorf("cannot update container %q: %w", b.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	_, err = b.admin().Retire(ctx)
	return err
}

func (c *change) ended(ctx context.Context, b box, end time.Time) (bool, error) {
	for {
		now, err := c.api.ContainerInspect(ctx, b.id)
		if gone(err) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("cannot inspect container %q: %w", b.name, err)
		}
		if !now.State.Running {
			return true, nil
		}
		if time.Now().After(end) {
			return false, nil
		}
		if !pause(ctx, beat) {
			return false, ctx.Err()
		}
	}
}
