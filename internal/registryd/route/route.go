// Package route takes apart the paths of the API that are about one repository, so that all who stand before
// distribution's application read them in one way. Whether a name or a reference is valid is the caller's.
package route

import "strings"

// Kind is what of a repository a path is about.
type Kind string

// The kinds, but for the list of tags.
const (
	Blobs     Kind = "blobs"
	Manifests Kind = "manifests"
	Referrers Kind = "referrers"
	Uploads   Kind = "uploads"
)

// Path is a path in its parts: /v2/<repository>/<kind>/<reference>.
type Path struct {
	Repository string
	Kind       Kind
	// Reference is the last part: a tag, a digest, the name of an upload, "" for a new one.
	Reference string
}

// Parse takes the path of a request to a server below prefix apart. The parts count from the end, since a
// repository may be called like a kind.
func Parse(prefix, path string) (Path, bool) {
	rest, ok := strings.CutPrefix(path, strings.TrimRight(prefix, "/"))
	if !ok {
		return Path{}, false
	}
	if rest, ok = strings.CutPrefix(rest, "/v2/"); !ok {
		return Path{}, false
	}
	rest, reference, ok := cutLast(rest)
	if !ok {
		return Path{}, false
	}
	repository, last, ok := cutLast(rest)
	found := Path{Repository: repository, Kind: Kind(last), Reference: reference}
	switch found.Kind {
	case Blobs, Manifests, Referrers:
		return found, ok
	case Uploads:
		found.Repository, last, ok = cutLast(repository)
		return found, ok && last == string(Blobs)
	}
	return Path{}, false
}

// IsUpload reports whether a path below any prefix is of an upload.
func IsUpload(path string) bool {
	return strings.HasSuffix(path[:strings.LastIndexByte(path, '/')+1], "/blobs/uploads/")
}

// cutLast cuts the last part off a path.
func cutLast(path string) (before, last string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}
