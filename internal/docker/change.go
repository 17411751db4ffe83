package docker

import (
	"context"
	"errors"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"docker-registry-operator/internal/admin"
	"docker-registry-operator/internal/desired"
)

// change is one Ensure: the way from the containers that are there to the one that
// is wanted.
type change struct {
	*Engine
	spec   spec
	digest string
	// target is the container that is wanted, others are the unit's other ones and
	// those that another charm left.
	target  box
	others  []box
	outcome desired.Outcome
}

func (c *change) apply(ctx context.Context, own []box) error {
	found := c.pick(own)
	if err := c.meetPredecessors(ctx); err != nil {
		return err
	}
	if !found {
		if err := c.succeed(ctx); err != nil {
			return err
		}
	}
	serves, err := c.serve(ctx)
	if err != nil {
		if !serves {
			err = errors.Join(err, c.giveUp(ctx))
		}
		return err
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	// Also of a replacement that was interrupted before it came to that.
	return c.dropImages(ctx, c.spec.image)
}

// pick finds the wanted container among the unit's; one that runs comes first.
func (c *change) pick(own []box) bool {
	fits := func(b box) bool { return b.labels[labelSpec] == c.digest && !b.retiring() }
	i := slices.IndexFunc(own, func(b box) bool { return fits(b) && b.running() })
	if i < 0 {
		i = slices.IndexFunc(own, fits)
	}
	if i < 0 {
		c.others = own
		return false
	}
	c.target = own[i]
	c.others = slices.Concat(own[:i], own[i+1:])
	return true
}

// meetPredecessors looks for containers that another charm left. They are gone once a
// container of the unit has the wanted name.
func (c *change) meetPredecessors(ctx context.Context) error {
	name := c.spec.workload.Name
	if c.target.name == name || c.holder() >= 0 {
		return nil
	}
	predecessors, err := c.predecessors(ctx, name)
	c.others = append(c.others, predecessors...)
	return err
}

// holder is which of the others has the wanted name, or -1.
func (c *change) holder() int {
	return slices.IndexFunc(c.others, func(b box) bool { return b.name == c.spec.workload.Name })
}

// standIn is the newest of the others that could serve in the target's place, or -1.
func (c *change) standIn() int {
	return slices.IndexFunc(c.others, func(b box) bool { return !b.retiring() })
}

// succeed creates the wanted container. While another one has its name, or another
// charm's is there, it has a longer one.
func (c *change) succeed(ctx context.Context) error {
	name := c.spec.workload.Name
	if c.holder() >= 0 || slices.ContainsFunc(c.others, foreign) {
		name += "-" + c.digest
	}
	target, err := c.create(ctx, c.spec, c.digest, name)
	if errdefs.IsNotFound(err) && c.spec.workload.Image == "" {
		if err := c.load(ctx, c.spec.image); err != nil {
			return err
		}
		target, err = c.create(ctx, c.spec, c.digest, name)
	}
	if err != nil {
		return err
	}
	c.target = target
	c.outcome = c.succession()
	return nil
}

// succession says what the new target is there for.
func (c *change) succession() desired.Outcome {
	i := c.standIn()
	if i < 0 {
		return desired.Outcome{Done: "created", Reason: "there was no container"}
	}
	outcome := desired.Outcome{Done: "replaced"}
	switch old := c.others[i]; {
	case old.foreign:
		outcome.Reason = "container was another charm's"
	case old.labels[labelImage] != c.target.labels[labelImage]:
		outcome.Reason = "image changed"
	case old.labels[labelConfig] != c.target.labels[labelConfig]:
		outcome.Reason = "configuration changed"
	default:
		outcome.Reason = "container settings changed"
	}
	return outcome
}

// makeRoom stops the others that would keep the target from its port: two registries
// can have it only if both are ours.
func (c *change) makeRoom(ctx context.Context) error {
	for i, b := range c.others {
		if !b.running() || b.labels[labelSocket] != "" && (!c.spec.stock() || retires(ctx, b)) {
			continue
		}
		if err := c.stop(ctx, b); err != nil {
			return err
		}
		c.others[i].state = container.StateExited
	}
	return nil
}

// retires says that a registry has given up its port and finishes what it has.
func retires(ctx context.Context, b box) bool {
	status, err := b.status(ctx)
	return err == nil && status.State == admin.Retiring
}

// giveUp removes a target that does not serve, and has the outcome tell how to get the
// newest of the others running again if none of them does: once the files are again
// what it was started with. Without others the target is kept: it may serve as soon as
// what it lacks is there.
func (c *change) giveUp(ctx context.Context) error {
	i := c.standIn()
	if i < 0 {
		return nil
	}
	// Whoever waits for the hook may have given up too, but the unit shall serve.
	ctx = context.WithoutCancel(ctx)
	if err := c.discard(ctx); err != nil {
		return err
	}
	serving := func(b box) bool { return !b.retiring() && b.running() }
	if !slices.ContainsFunc(c.others, serving) {
		c.outcome.Resume = func() error { return c.resume(ctx, c.others[i]) }
	}
	return nil
}

// discard removes the target.
func (c *change) discard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	return c.remove(ctx, c.target)
}

// resume gets a container running that was stopped for another.
func (c *change) resume(ctx context.Context, b box) error {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	return c.run(ctx, b)
}

// settle gives the target its name, now that it serves, and retires the others.
func (c *change) settle(ctx context.Context) error {
	name := c.spec.workload.Name
	if err := c.removePredecessors(ctx); err != nil {
		return err
	}
	if i := c.holder(); i >= 0 {
		if err := c.rename(ctx, &c.others[i], name+asideSuffix(c.others[i])); err != nil {
			return err
		}
	}
	if c.target.name != name {
		if err := c.rename(ctx, &c.target, name); err != nil {
			return err
		}
		c.note("renamed", "name changed")
	}
	return c.retireOthers(ctx)
}

// removePredecessors comes before anything gets the wanted name, by which later hooks
// know that nothing of another charm is left.
func (c *change) removePredecessors(ctx context.Context) error {
	for _, b := range c.others {
		if !b.foreign {
			continue
		}
		if err := c.stopAndRemove(ctx, b); err != nil {
			return err
		}
	}
	c.others = slices.DeleteFunc(c.others, foreign)
	return nil
}
