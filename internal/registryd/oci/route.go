package oci

import (
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// kind is what a path of the API is about.
type kind string

const (
	blobs     kind = "blobs"
	manifests kind = "manifests"
	referrers kind = "referrers"
	uploads   kind = "uploads"
)

// route is a path of the API that this package looks at.
type route struct {
	kind kind
	name reference.Named
	// reference is the last part of the path: a tag, a digest, the name of an upload, "" for a new one.
	reference string
}

// parse reads the path of a request to a server below prefix. What is not ok is for the application.
func parse(prefix, path string) (route, bool) {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix("/"+strings.Trim(prefix, "/"), "/")+"/v2/")
	if !ok {
		return route{}, false
	}
	rest, last, ok := cutLast(rest)
	if !ok || last == "." || last == ".." {
		return route{}, false
	}
	repository, middle, ok := cutLast(rest)
	if !ok {
		return route{}, false
	}
	found := kind(middle)
	if found == uploads {
		repository, middle, ok = cutLast(repository)
		ok = ok && middle == "blobs"
	}
	if !ok || !slices.Contains([]kind{blobs, manifests, referrers, uploads}, found) {
		return route{}, false
	}
	name, err := reference.WithName(repository)
	if err != nil {
		return route{}, false
	}
	return route{kind: found, name: name, reference: last}, true
}

// cutLast cuts the last element off a path.
func cutLast(path string) (before, last string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}
