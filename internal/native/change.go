package native

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"docker-registry-operator/internal/admin"
	"docker-registry-operator/internal/desired"
)

// glance is how long one question to a registry may take, and beat the time between
// two of them.
const (
	glance = 2 * time.Second
	beat   = 50 * time.Millisecond
)

// change is one Ensure: the way from the services that are there to the one that is
// wanted.
type change struct {
	*Host
	workload desired.Workload
	wanted   plan
	outcome  desired.Outcome
}

func (c *change) apply(ctx context.Context, own []service) error {
	i, err := c.pick(ctx, own)
	if err != nil {
		return err
	}
	others := own
	if i >= 0 {
		others = slices.Concat(own[:i], own[i+1:])
		err := c.refresh(ctx, own[i])
		if err == nil {
			return c.retireOthers(ctx, others)
		}
		if !errors.Is(err, admin.ErrNoAnswer) {
			return err
		}
		// It may hold the port without ever answering there.
		c.outcome = desired.Outcome{Done: "restarted", Reason: "registry did not answer"}
		if err := c.end(ctx, own[i]); err != nil {
			return err
		}
	}
	if err := c.succeed(ctx, others); err != nil {
		return err
	}
	if err := c.retireOthers(ctx, others); err != nil {
		return err
	}
	return c.dropBinaries()
}

// pick is which of the services is the wanted one and under supervision, or -1.
func (c *change) pick(ctx context.Context, own []service) (int, error) {
	for i, s := range own {
		if !s.equal(c.wanted) || c.retires(ctx, s) {
			continue
		}
		running, err := c.supervisor.running(ctx, s)
		if err != nil || running {
			return i, err
		}
	}
	return -1, nil
}

// retires says that a registry has given up its port and finishes what it has.
func (c *change) retires(ctx context.Context, s service) bool {
	status, err := s.status(ctx)
	return err == nil && status.State == admin.Retiring
}

// refresh gives a service that runs the wanted configuration. It is patient with one
// that has only just begun to run; in the end the error wraps [admin.ErrNoAnswer].
func (c *change) refresh(ctx context.Context, s service) error {
	status, err := c.probe(ctx, s)
	for end := time.Now().Add(c.silence); errors.Is(err, admin.ErrNoAnswer) && time.Now().Before(end); {
		if !pause(ctx, beat) {
			return ctx.Err()
		}
		status, err = c.probe(ctx, s)
	}
	if err != nil {
		return err
	}
	if status.Config != c.workload.Config {
		c.outcome = desired.Outcome{Done: "reloaded", Reason: "configuration changed"}
		if status, err = c.reload(ctx, s); err != nil {
			return err
		}
	}
	return status.Accept(c.workload.Config, &c.outcome)
}

func (c *change) reload(ctx context.Context, s service) (admin.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	status, err := s.admin().Reload(ctx)
	var refused *admin.RefusedError
	if errors.As(err, &refused) {
		return admin.Status{}, &desired.Refused{Reason: refused.Reason}
	}
	return status, err
}

func (c *change) probe(ctx context.Context, s service) (admin.Status, error) {
	status, err := s.status(ctx)
	if err == nil && status.State != admin.Serving {
		return admin.Status{}, fmt.Errorf("%w: it is %s", admin.ErrNoAnswer, status.State)
	}
	return status, err
}

// succeed starts a new service and waits until it serves. One that does not is
// removed if another one does; alone it is kept, since it may serve as soon as what it
// lacks is there.
func (c *change) succeed(ctx context.Context, others []service) error {
	if err := c.clear(ctx, others); err != nil {
		return err
	}
	if err := c.install(c.wanted.Binary); err != nil {
		return err
	}
	target, err := c.create(c.wanted, c.workload.Sockets)
	if err != nil {
		return err
	}
	if c.outcome.Done == "" {
		c.outcome = c.succession(others)
	}
	err = c.supervisor.start(ctx, target)
	if err == nil {
		err = c.await(ctx, target)
	}
	if err == nil || !c.anyServes(ctx, others) {
		return err
	}
	// Whoever waits for the hook may have given up, but two services must not stay.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.patience)
	defer cancel()
	return errors.Join(err, c.end(ctx, target))
}

// clear ends the services that do not answer, so that those that never will do not
// pile up.
func (c *change) clear(ctx context.Context, others []service) error {
	for _, s := range others {
		if _, err := s.status(ctx); !errors.Is(err, admin.ErrNoAnswer) {
			continue
		}
		if err := c.end(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// succession says what a new service is there for.
func (c *change) succession(others []service) desired.Outcome {
	if len(others) == 0 {
		return desired.Outcome{Done: "created", Reason: "there was no service"}
	}
	outcome := desired.Outcome{Done: "replaced", Reason: "service settings changed"}
	for _, s := range others {
		if s.equal(c.wanted) {
			return desired.Outcome{Done: "started", Reason: "service did not run"}
		}
		if s.Binary != c.wanted.Binary {
			outcome.Reason = "registry binary changed"
		}
	}
	return outcome
}

func (c *change) anyServes(ctx context.Context, others []service) bool {
	return slices.ContainsFunc(others, func(s service) bool {
		_, err := c.probe(context.WithoutCancel(ctx), s)
		return err == nil
	})
}

// await waits until a service that has just been started serves.
func (c *change) await(ctx context.Context, s service) error {
	for end := time.Now().Add(c.patience); time.Now().Before(end); {
		status, err := c.probe(ctx, s)
		if err == nil {
			return status.Accept(c.workload.Config, &c.outcome)
		}
		reason, failed, err := c.supervisor.failed(ctx, s)
		if err != nil {
			return err
		}
		if failed {
			return &desired.Refused{Reason: reason}
		}
		if !pause(ctx, beat) {
			return ctx.Err()
		}
	}
	return &desired.Refused{Reason: fmt.Sprintf("not serving after %s", c.patience)}
}

// retireOthers ends every service but the wanted one without cutting what it is
// doing. One that takes longer is left to a later Ensure.
func (c *change) retireOthers(ctx context.Context, others []service) error {
	end := time.Now().Add(c.drain)
	for _, s := range others {
		ended, err := c.retire(ctx, s, end)
		if err != nil {
			return err
		}
		if !ended {
			c.outcome.Writing = true
			continue
		}
		if err := c.end(ctx, s); err != nil {
			return err
		}
		if c.outcome.Done == "" {
			c.outcome.Done, c.outcome.Reason = "removed", "predecessor has ended"
		}
	}
	return nil
}

// retire tells a registry to end and says whether it does not answer any more by the
// end of the wait. One that was told before is not waited for.
func (c *change) retire(ctx context.Context, s service, end time.Time) (bool, error) {
	status, err := s.status(ctx)
	if err == nil && status.State == admin.Retiring {
		return false, nil
	}
	if err == nil {
		err = s.retire(ctx)
	}
	for err == nil {
		if time.Now().After(end) {
			return false, nil
		}
		if !pause(ctx, beat) {
			return false, ctx.Err()
		}
		_, err = s.status(ctx)
	}
	if errors.Is(err, admin.ErrNoAnswer) {
		return true, nil
	}
	return false, err
}
