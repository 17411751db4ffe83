package docker

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"

	"docker-registry-operator/internal/desired"
)

// predecessors are the containers that another charm left, under whatever name, and one
// of this name that uses the unit's directories. The error is a [*desired.NameTaken] if
// the one that has the name is somebody else's.
func (e *Engine) predecessors(ctx context.Context, name string) ([]box, error) {
	found, err := e.legacy(ctx)
	if err != nil || slices.ContainsFunc(found, func(b box) bool { return b.name == name }) {
		return found, err
	}
	holder, err := e.api.ContainerInspect(ctx, name)
	// The Engine also finds containers by the beginning of their ID.
	if errdefs.IsNotFound(err) || err == nil && holder.Name != "/"+name {
		return found, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot inspect container %q: %w", name, err)
	}
	if !e.usesUnit(holder) {
		return nil, &desired.NameTaken{Name: name}
	}
	return append(found, box{id: holder.ID, name: name, state: holder.State.Status, foreign: true, kept: true}), nil
}

// usesUnit says that a container mounts a directory of the unit.
func (e *Engine) usesUnit(c container.InspectResponse) bool {
	layout := e.options.Layout
	return slices.ContainsFunc(c.Mounts, func(m container.MountPoint) bool {
		return m.Source == layout.Config() || m.Source == layout.Data()
	})
}

// legacy are the containers of the charm that this one replaces. It gave them its
// configuration as a single file, published two ports, and put no label on them.
func (e *Engine) legacy(ctx context.Context) ([]box, error) {
	file := filepath.Join(e.options.Layout.Config(), "config.yml")
	list, err := e.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("volume", file))})
	if err != nil {
		return nil, fmt.Errorf("cannot list containers: %w", err)
	}
	var boxes []box
	for _, c := range list {
		ours := c.Labels[labelUnit] != ""
		configured := slices.ContainsFunc(c.Mounts, func(m container.MountPoint) bool {
			return m.Type == mount.TypeBind && m.Source == file && m.Destination == "/etc/docker/registry/config.yml"
		})
		if ours || !configured || c.State == container.StateRemoving {
			continue
		}
		found, err := e.api.ContainerInspect(ctx, c.ID)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot inspect container %q: %w", ownName(c.Names), err)
		}
		if ports := found.HostConfig.PortBindings; len(ports["5000/tcp"]) > 0 && len(ports["5001/tcp"]) > 0 {
			boxes = append(boxes, box{id: c.ID, name: ownName(c.Names), state: c.State, foreign: true})
		}
	}
	return boxes, nil
}
