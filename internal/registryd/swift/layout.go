package swift

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// layout names objects. A large object is a manifest under `files`, whose segments are
// `segments/<3 hex>/<61 hex>/<number>`; where there are more segments than one manifest
// holds, it lists further manifests, `groups/<3 hex>/<61 hex>/<number>`.
type layout struct {
	// prefix comes before every name, without slashes around it.
	prefix string
}

// file is the object of a path of the registry.
func (l layout) file(path string) string {
	return strings.Trim(l.prefix+"/files"+path, "/")
}

// path is the path of an object that file named, or of a pseudo-directory.
func (l layout) path(object string) string {
	return "/" + strings.Trim(strings.TrimPrefix(object, l.file("")), "/")
}

// newSegments is a new prefix for the segments of an object. No prefix that is made here
// begins another, because all are of the same length.
func (l layout) newSegments() string {
	random := make([]byte, 32)
	rand.Read(random)
	unique := hex.EncodeToString(random)
	return strings.Trim(l.prefix+"/segments/"+unique[:3]+"/"+unique[3:], "/")
}

// group is the n-th manifest, counted from 1, of those that hold the segments below a
// prefix. It does not begin with that prefix: a dynamic large object would take it for a
// segment.
func (l layout) group(segments string, n int) string {
	own := strings.TrimPrefix(strings.TrimPrefix(segments, l.prefix), "/")
	return numbered(strings.Trim(l.prefix+"/groups/"+strings.TrimPrefix(own, "segments/"), "/"), n)
}

// numbered is the n-th object below a prefix, in a form whose order is that of numbers.
func numbered(prefix string, n int) string { return fmt.Sprintf("%s/%016d", prefix, n) }

// isUpload says that an object is of an upload that has not become a blob.
func isUpload(object string) bool { return strings.Contains(object, "/_uploads/") }
