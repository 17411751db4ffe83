package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"docker-registry-operator/internal/admin"
)

// box is a container as it was found.
type box struct {
	id, name string
	state    container.ContainerState
	labels   map[string]string
	// foreign says that another charm made it; kept, that what it has in anonymous
	// volumes may be of use to somebody.
	foreign, kept bool
}

func (b box) running() bool {
	return b.state == container.StateRunning || b.state == container.StatePaused ||
		b.state == container.StateRestarting
}

func foreign(b box) bool { return b.foreign }

// retiring says that the container was set aside for its successor.
func (b box) retiring() bool { return strings.HasSuffix(b.name, asideSuffix(b)) }

// asideSuffix ends the name of a container that was set aside. It holds the
// container's own ID, so that no name that an operator chooses can look like it.
func asideSuffix(b box) string { return "-retiring-" + b.id[:min(12, len(b.id))] }

// own are the containers of a unit, running or not.
func (e *Engine) own(ctx context.Context, unit string) ([]box, error) {
	list, err := e.api.ContainerList(ctx, container.ListOptions{
		All: true,
		Filters: filters.NewArgs(
			filters.Arg("label", labelUnit+"="+unit),
			filters.Arg("label", labelRoot+"="+e.root()),
		),
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list containers: %w", err)
	}
	boxes := make([]box, 0, len(list))
	for _, c := range list {
		if c.State != container.StateRemoving {
			boxes = append(boxes, box{id: c.ID, name: ownName(c.Names), state: c.State, labels: c.Labels})
		}
	}
	return boxes, nil
}

func (e *Engine) root() string { return e.options.Layout.On("") }

// ownName is a container's name; the others that the Engine may list are those by
// which linked containers know it.
func ownName(names []string) string {
	for _, name := range names {
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			return name
		}
	}
	return ""
}

// create makes a container of s under a name, and does not start it.
func (e *Engine) create(ctx context.Context, s spec, digest, name string) (box, error) {
	socket := ""
	if !s.stock() {
		socket = filepath.Join(s.workload.Sockets, rand.Text()[:8]+".sock")
	}
	config := s.config(socket)
	config.Labels = s.labels(digest, socket)
	created, err := e.api.ContainerCreate(ctx, config, s.host(), nil, nil, name)
	if err != nil {
		return box{}, fmt.Errorf("cannot create container %q: %w", name, err)
	}
	return box{id: created.ID, name: name, state: container.StateCreated, labels: config.Labels}, nil
}

// run gets a container running that is not, whatever it is instead.
func (e *Engine) run(ctx context.Context, b box) error {
	var err error
	switch b.state {
	case container.StateRunning:
	case container.StatePaused:
		err = e.api.ContainerUnpause(ctx, b.id)
	case container.StateRestarting:
		// The Engine waits longer and longer between two attempts: start over.
		err = e.api.ContainerRestart(ctx, b.id, container.StopOptions{})
	default:
		err = e.api.ContainerStart(ctx, b.id, container.StartOptions{})
	}
	if err != nil {
		return fmt.Errorf("cannot start container %q: %w", b.name, err)
	}
	return nil
}

func (e *Engine) stop(ctx context.Context, b box) error {
	if err := e.api.ContainerStop(ctx, b.id, container.StopOptions{}); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("cannot stop container %q: %w", b.name, err)
	}
	return nil
}

// remove removes a container, its admin socket and its anonymous volumes.
func (e *Engine) remove(ctx context.Context, b box) error {
	options := container.RemoveOptions{Force: true, RemoveVolumes: !b.kept}
	if err := e.api.ContainerRemove(ctx, b.id, options); err != nil && !gone(err) {
		return fmt.Errorf("cannot remove container %q: %w", b.name, err)
	}
	socket := b.labels[labelSocket]
	if socket == "" {
		return nil
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove admin socket: %w", err)
	}
	return nil
}

func (e *Engine) rename(ctx context.Context, b *box, name string) error {
	if err := e.api.ContainerRename(ctx, b.id, name); err != nil {
		return fmt.Errorf("cannot rename container %q to %q: %w", b.name, name, err)
	}
	b.name = name
	return nil
}

// admin is the client of the container's admin socket.
func (b box) admin() admin.Client { return admin.At(b.labels[labelSocket]) }

// status asks a container's registry how it is.
func (b box) status(ctx context.Context) (admin.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	return b.admin().Status(ctx)
}

// pause waits between two looks at something, and says whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
