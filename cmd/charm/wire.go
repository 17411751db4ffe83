package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"docker-registry-operator/actions"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/docker"
	"docker-registry-operator/internal/host"
	"docker-registry-operator/internal/native"
	"docker-registry-operator/internal/operator"
)

// supervise is the hidden command that keeps a registry running where there is
// neither Docker nor systemd.
const supervise = "supervise"

// charm is the operator with the adapters that actions use beside it.
type charm struct {
	operator *operator.Operator
	engine   *docker.Engine
}

// wire joins the operator with the adapters of this machine. The registry's binary
// is in directory.
func wire(unit operator.Unit, layout desired.Layout, directory string, log *slog.Logger) (charm, error) {
	registry := filepath.Join(directory, "registry")
	engine, err := docker.New(docker.Options{Layout: layout, Registry: registry, Log: log})
	if err != nil {
		return charm{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return charm{}, fmt.Errorf("cannot find the charm's own program: %w", err)
	}
	user := registryUser()
	return charm{
		engine: engine,
		operator: &operator.Operator{
			Unit: unit,
			Host: host.NewMachine(host.MachineOptions{
				Layout: layout, User: user, Engine: os.Getenv("DOCKER_HOST"), Charm: charmDir(), Log: log,
			}),
			Docker: engine,
			Native: native.New(native.Options{Layout: layout, Registry: registry, Supervisor: []string{self, supervise}, Log: log}),
			Images: actions.Images{},
			Layout: layout,
			User:   user,
			Now:    time.Now,
			Log:    log,
		},
	}, nil
}

// charmDir is where Juju has the charm of a unit, "" without Juju.
func charmDir() string {
	if os.Getenv("JUJU_DISPATCH_PATH") == "" {
		return ""
	}
	return os.Getenv("JUJU_CHARM_DIR")
}

// registryUser runs the registry: the user "nonroot" of minimal images, a number that
// no account of Debian or Ubuntu has and that LXD maps, or whoever runs the charm.
func registryUser() desired.Identity {
	if os.Geteuid() != 0 {
		return desired.Identity{UID: os.Geteuid(), GID: os.Getegid()}
	}
	return desired.Identity{UID: 65532, GID: 65532}
}

func (c charm) tools() actions.Tools {
	return actions.Tools{Unit: c.operator, Engine: c.engine, Command: host.Output}
}

func (c charm) close() { _ = c.engine.Close() }
