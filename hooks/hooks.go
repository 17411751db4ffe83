// Package hooks is the one list of the charm's hooks and of what each asks for.
// What the asking leads to is left to package operator.
package hooks

import (
	"context"
	"fmt"
	"slices"
)

// Unit is what a hook may ask of the unit.
type Unit interface {
	// Converge makes the unit what its options, relations and machine ask for.
	Converge(ctx context.Context) error
	// Stop takes the registry down, because the unit is about to go.
	Stop(ctx context.Context) error
	// Remove takes everything off the machine but the images.
	Remove(ctx context.Context) error
	// Hold says that the machine is about to change under the unit.
	Hold(ctx context.Context) error
}

// Endpoints are the names of the charm's endpoints, as in metadata.yaml.
func Endpoints() []string {
	return []string{
		"cert-provider", "docker-registry", "dockerhost", "nrpe-external-master",
		"peer", "s3-credentials", "sdn-plugin", "website",
	}
}

// Storages are the names of the charm's storage, as in metadata.yaml.
func Storages() []string { return []string{"registry-data"} }

// Names are all hooks that the charm answers, sorted.
func Names() []string {
	names := []string{
		"config-changed", "install", "leader-elected", "leader-settings-changed",
		"post-series-upgrade", "pre-series-upgrade", "remove", "secret-changed", "start",
		"stop", "update-status", "upgrade-charm",
	}
	for _, endpoint := range Endpoints() {
		for _, event := range []string{"created", "joined", "changed", "departed", "broken"} {
			names = append(names, endpoint+"-relation-"+event)
		}
	}
	for _, storage := range Storages() {
		names = append(names, storage+"-storage-attached", storage+"-storage-detaching")
	}
	slices.Sort(names)
	return names
}

// Run runs the hook of that name. All but a few converge, so that an event that was
// missed is made good by the next one.
func Run(ctx context.Context, name string, unit Unit) error {
	switch {
	case name == "stop":
		return unit.Stop(ctx)
	case name == "remove":
		return unit.Remove(ctx)
	case name == "pre-series-upgrade":
		return unit.Hold(ctx)
	case slices.Contains(Names(), name):
		return unit.Converge(ctx)
	}
	return fmt.Errorf("cannot run hook %q: the charm has no such hook", name)
}
