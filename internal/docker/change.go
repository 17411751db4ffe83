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
	// target is the container that is wanted, others are the unit's other ones and,
	// if there is one, the container that another charm left.
	target  box
	others  []box
	outcome desired.Outcome
}

func (c *change) apply(ctx context.Context, own []box) error {
	found := c.pick(own)
	if err := c.meetPredecessor(ctx); err != nil {
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

// meetPredecessor looks at the container that has the wanted name, if it is none of
// the unit's.
func (c *change) meetPredecessor(ctx context.Context) error {
	name := c.spec.workload.Name
	if c.target.name == name || c.holder() >= 0 {
		return nil
	}
	predecessor, err := c.predecessor(ctx, name)
	if err != nil || predecessor == nil {
		return err
	}
	c.others = append(c.others, *predecessor)
	return nil
}

// holder is which of the others has the wanted name, or -1.
func (c *change) holder() int {
	return slices.IndexFunc(c.others, func(b box) bool { return b.name == c.spec.workload.Name })
}

// standIn is the newest of the others that could serve in the target's place, or -1.
func (c *change) standIn() int {
	return slices.IndexFunc(c.others, func(b box) bool { return !b.retiring() })
}

// succeed creates the wanted container. While another one has its name it has a
// longer one.
func (c *change) succeed(ctx context.Context) error {
	name := c.spec.workload.Name
	if c.holder() >= 0 {
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

// giveUp removes a target that does not serve, and gets the newest of the others
// running again if none of them does. Without others the target is kept: it may
// serve as soon as what it lacks is there.
func (c *change) giveUp(ctx context.Context) error {
	i := c.standIn()
	if i < 0 {
		return nil
	}
	// Whoever waits for the hook may have given up too, but the unit shall serve.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.patience)
	defer cancel()
	if err := c.remove(ctx, c.target); err != nil {
		return err
	}
	serving := func(b box) bool { return !b.retiring() && b.running() }
	if slices.ContainsFunc(c.others, serving) {
		return nil
	}
	return c.run(ctx, c.others[i])
}

// settle gives the target its name, now that it serves, and retires the others.
func (c *change) settle(ctx context.Context) error {
	name := c.spec.workload.Name
	if i := c.holder(); i >= 0 {
		if err := c.setAside(ctx, i); err != nil {
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

// setAside takes the wanted name from another container. One that another charm
// made cannot be found again without its name: it is removed.
func (c *change) setAside(ctx context.Context, i int) error {
	b := &c.others[i]
	if !b.foreign {
		return c.rename(ctx, b, c.spec.workload.Name+asideSuffix(*b))
	}
	if err := c.stopAndRemove(ctx, *b); err != nil {
		return err
	}
	c.others = slices.Delete(c.others, i, i+1)
	return nil
}
