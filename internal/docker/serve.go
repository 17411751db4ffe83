package docker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"

	"docker-registry-operator/internal/admin"
	"docker-registry-operator/internal/desired"
)

// glance is how long one question to a registry may take, and beat the time between
// two of them.
const (
	glance = 2 * time.Second
	beat   = 50 * time.Millisecond
)

// serve makes the target serve with the wanted configuration. Where that fails,
// serves says whether the target serves nevertheless.
func (c *change) serve(ctx context.Context) (serves bool, err error) {
	if c.target.state == container.StateRunning {
		err := c.refresh(ctx)
		if err == nil || !errors.Is(err, admin.ErrNoAnswer) {
			return true, err
		}
		c.note("restarted", "registry did not answer")
		if err := c.stop(ctx, c.target); err != nil {
			return false, err
		}
		c.target.state = container.StateExited
	}
	if err := c.makeRoom(ctx); err != nil {
		return false, err
	}
	c.note("started", fmt.Sprintf("container was %s", c.target.state))
	if err := c.run(ctx, c.target); err != nil {
		return false, err
	}
	return c.await(ctx)
}

// refresh gives a target that runs the wanted configuration. It is patient with one
// that has only just begun to run; in the end the error wraps [admin.ErrNoAnswer].
func (c *change) refresh(ctx context.Context) error {
	status, err := c.probe(ctx)
	for end := time.Now().Add(c.silence); errors.Is(err, admin.ErrNoAnswer) && time.Now().Before(end); {
		if !pause(ctx, beat) {
			return ctx.Err()
		}
		status, err = c.probe(ctx)
	}
	if err != nil {
		return err
	}
	if status.Config != c.spec.workload.Config {
		c.note("reloaded", "configuration changed")
		if status, err = c.reload(ctx); err != nil {
			return err
		}
	}
	return status.Accept(c.spec.workload.Config, &c.outcome)
}

func (c *change) reload(ctx context.Context) (admin.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	status, err := c.target.admin().Reload(ctx)
	var refused *admin.RefusedError
	if errors.As(err, &refused) {
		return admin.Status{}, &desired.Refused{Reason: refused.Reason}
	}
	return status, err
}

// await waits until the target, which has just been started, serves.
func (c *change) await(ctx context.Context) (serves bool, err error) {
	before, err := c.api.ContainerInspect(ctx, c.target.id)
	if err != nil {
		return false, fmt.Errorf("cannot inspect container %q: %w", c.target.name, err)
	}
	for end := time.Now().Add(c.patience); time.Now().Before(end); {
		status, err := c.probe(ctx)
		if err == nil {
			return true, status.Accept(c.spec.workload.Config, &c.outcome)
		}
		now, err := c.api.ContainerInspect(ctx, c.target.id)
		if err != nil {
			return false, fmt.Errorf("cannot inspect container %q: %w", c.target.name, err)
		}
		if !now.State.Running || now.State.Restarting || now.RestartCount > before.RestartCount {
			return false, &desired.Refused{Reason: c.lastWords(ctx, c.target.id, "registry ended without saying why")}
		}
		if !pause(ctx, beat) {
			return false, ctx.Err()
		}
	}
	reason := c.lastWords(ctx, c.target.id, "it said nothing")
	return false, &desired.Refused{Reason: fmt.Sprintf("not serving after %s: %s", c.patience, reason)}
}

// probe asks the target how it is. The error wraps [admin.ErrNoAnswer] if it does
// not answer, or does not serve.
func (c *change) probe(ctx context.Context) (admin.Status, error) {
	if c.spec.stock() {
		ctx, cancel := context.WithTimeout(ctx, glance)
		defer cancel()
		return c.probePort(ctx)
	}
	status, err := c.target.status(ctx)
	if err == nil && status.State != admin.Serving {
		return admin.Status{}, fmt.Errorf("%w: it is %s", admin.ErrNoAnswer, status.State)
	}
	return status, err
}

// probePort is the status of an image without an admin socket: whatever it answers,
// it serves, with the configuration that its container was made for.
func (c *change) probePort(ctx context.Context) (admin.Status, error) {
	scheme := "http"
	if c.spec.workload.TLS {
		scheme = "https"
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(c.spec.workload.Port))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+"/v2/", nil)
	if err != nil {
		return admin.Status{}, err
	}
	// Nothing is told to whoever answers, and a certificate for a loopback address
	// need not exist.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return admin.Status{}, fmt.Errorf("%w: %v", admin.ErrNoAnswer, err)
	}
	defer response.Body.Close()
	status := admin.Status{State: admin.Serving, Config: c.spec.workload.Config}
	if response.StatusCode == http.StatusServiceUnavailable {
		status.Failing = map[string]string{"registry": "it answers 503, and says why at /debug/health of its debug port"}
	}
	return status, nil
}

// note says what is done, unless something greater was said before.
func (c *change) note(done, reason string) {
	if c.outcome.Done == "" {
		c.outcome.Done, c.outcome.Reason = done, reason
	}
}
