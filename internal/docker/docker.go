// Package docker runs the registry as a container of the Docker Engine, and does
// what actions ask of the Engine: pull, tag and push images, stop and start
// containers. Bringing the Engine to the machine and configuring it is left to
// package host, what to run to package desired.
package docker

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"docker-registry-operator/internal/desired"
)

// ErrNoSuchImage means that the Engine has no image of the name that was asked for.
var ErrNoSuchImage = errors.New("no such image")

// Options say which Engine to use and what to run on it.
type Options struct {
	// Host is the Engine's address; "" takes DOCKER_HOST, or the usual socket.
	Host   string
	Layout desired.Layout
	// Registry is the path of the registry's binary, from which the built-in image
	// is made. A file of the same name with ".sha256" added holds its digest in hex.
	Registry string
	Log      *slog.Logger
}

// Engine is a Docker Engine that runs registries. Its zero value is not meaningful:
// make one with [New].
type Engine struct {
	api     *client.Client
	options Options
	// patience is how long a registry may take until it serves, and silence how long
	// a running one may not answer before it is started anew.
	patience, silence time.Duration
	// drain is how long a hook waits for a predecessor to end before it leaves that
	// to a later hook.
	drain time.Duration
}

// New is the Engine that options say. It connects when it is first used.
func New(options Options) (*Engine, error) {
	settings := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if options.Host != "" {
		settings = append(settings, client.WithHost(options.Host))
	}
	api, err := client.NewClientWithOpts(settings...)
	if err != nil {
		return nil, fmt.Errorf("cannot make client of Docker Engine: %w", err)
	}
	return &Engine{
		api:      api,
		options:  options,
		patience: 30 * time.Second,
		silence:  5 * time.Second,
		drain:    3 * time.Second,
	}, nil
}

// Close frees the connections to the Engine.
func (e *Engine) Close() error { return e.api.Close() }

// cause is err as the callers of this package know it.
func (e *Engine) cause(err error) error {
	if client.IsErrConnectionFailed(err) {
		return fmt.Errorf("%w at %s", desired.ErrNoEngine, e.api.DaemonHost())
	}
	return err
}

// gone says that what was to be removed, stopped or renamed is not there any more,
// or is being removed by somebody else.
func gone(err error) bool {
	return errdefs.IsNotFound(err) || errdefs.IsConflict(err)
}
