package oci

import (
	"github.com/distribution/reference"

	"docker-registry-operator/internal/registryd/route"
)

// target is what a request is about.
type target struct {
	kind route.Kind
	name reference.Named
	// reference is a tag, a digest, the name of an upload, "" for a new one.
	reference string
}

// parse reads the path of a request to a server below prefix. What is not ok is for the application.
func parse(prefix, path string) (target, bool) {
	parts, ok := route.Parse(prefix, path)
	if !ok || parts.Reference == "." || parts.Reference == ".." {
		return target{}, false
	}
	name, err := reference.WithName(parts.Repository)
	if err != nil {
		return target{}, false
	}
	return target{kind: parts.Kind, name: name, reference: parts.Reference}, true
}
