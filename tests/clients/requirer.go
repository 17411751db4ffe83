// Package clients plays those who use a registry over the relation docker-registry: it reads the
// databags as the interface's requirer does, and sets up a real containerd by them as its charm does.
// Deploying the registry, and what is right, is left to its tests.
package clients

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// A Registry is what an application reads about the registry that it is related to. What the registry
// has told null, or not at all, is nil.
type Registry struct {
	Netloc, URL, User, Password, CA *string
}

// ReadRegistry reads the databags of the registry's units, by unit name, as the requirer of
// interface-docker-registry does: the bags are laid over one another, the one with the first name on
// top, and each value is JSON. Unlike the requirer it takes strings and null only.
func ReadRegistry(bags map[string]map[string]string) (Registry, error) {
	merged := make(map[string]string)
	for _, unit := range slices.Backward(slices.Sorted(maps.Keys(bags))) {
		maps.Copy(merged, bags[unit])
	}
	var r Registry
	for key, field := range map[string]**string{
		"registry_netloc": &r.Netloc, "registry_url": &r.URL,
		"basic_user": &r.User, "basic_password": &r.Password, "tls_ca": &r.CA,
	} {
		text, ok := merged[key]
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(text), field); err != nil {
			return Registry{}, fmt.Errorf("cannot read %s: %w", key, err)
		}
	}
	return r, nil
}

// Ready says that there is a registry to use.
func (r Registry) Ready() bool { return r.Netloc != nil }

// BasicAuth says that the registry wants the user and the password.
func (r Registry) BasicAuth() bool { return r.User != nil && r.Password != nil }

// TLS says that the registry's certificate is to be verified by the authority that it told.
func (r Registry) TLS() bool { return r.CA != nil }
