package juju

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"

	"github.com/juju/charm/v12"
)

// A revision is one version of an application's charm, as the model keeps it for its units, with the
// options as they are set for it.
type revision struct {
	url     string
	path    string
	sha256  string
	archive *charm.CharmArchive
	config  charm.Settings
}

// readRevision reads a packed charm as a controller does when it is uploaded.
func readRevision(path string, number int) (*revision, error) {
	archive, err := charm.ReadCharmArchive(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read charm %s: %w", path, err)
	}
	if err := archive.Meta().Check(charm.FormatV2, charm.SelectionManifest); err != nil {
		return nil, fmt.Errorf("cannot accept charm %s: %w", path, err)
	}
	if manifest := archive.Manifest(); manifest == nil || len(manifest.Bases) == 0 {
		return nil, fmt.Errorf("cannot accept charm %s: its manifest.yaml names no base", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return &revision{
		url:     "local:" + archive.Meta().Name + "-" + strconv.Itoa(number),
		path:    path,
		sha256:  hex.EncodeToString(sum[:]),
		archive: archive,
		config:  charm.Settings{},
	}, nil
}

// settings is what config-get sees.
func (r *revision) settings() charm.Settings {
	settings := r.archive.Config().DefaultSettings()
	for name, value := range r.config {
		if value != nil {
			settings[name] = value
		}
	}
	return settings
}

// mayReplace refuses what Juju refuses at a refresh: a charm without an endpoint that is related or a
// storage that is in use, and one with a storage that every unit would need and has not.
func (r *revision) mayReplace(old *revision, related []*Relation, units []*Unit) error {
	now, before := r.archive.Meta(), old.archive.Meta()
	endpoints := now.CombinedRelations()
	for _, relation := range related {
		if _, ok := endpoints[relation.endpoint.Name]; !ok && relation.endpoint.Role != charm.RolePeer {
			return fmt.Errorf("would break relation %q", relation.key)
		}
	}
	for _, u := range units {
		for _, instance := range u.storage {
			if _, ok := now.Storage[instance.name]; !ok {
				return fmt.Errorf("in-use storage %q removed", instance.name)
			}
		}
	}
	for name, storage := range now.Storage {
		if _, ok := before.Storage[name]; !ok && storage.CountMin > 0 {
			return fmt.Errorf("required storage %q added", name)
		}
	}
	return nil
}
