package limit

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/distribution/distribution/v3/registry/api/errcode"
)

// NameBytes bounds the name of a repository, as clients do:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
const NameBytes = 255

// Paths refuses a request whose path, once decoded, can be read in two ways, or whose name is
// too long, which distribution takes for an error of its own. No name, tag or digest has such a
// path, and what decides about rights must not read it in another way than what opens files.
func Paths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reason := ambiguous(r.URL.Path)
		if reason == "" && len(nameIn(r.URL.Path)) > NameBytes {
			reason = fmt.Sprintf("a name has no more than %d characters", NameBytes)
		}
		if reason != "" {
			_ = errcode.ServeJSON(w, errcode.ErrorCodeNameInvalid.WithDetail(reason)) // a client that is gone needs no answer
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ambiguous says what is wrong with path, or nothing.
func ambiguous(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "a path begins with a slash"
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c == '\\':
			return "a path has no backslash"
		case c <= ' ' || c >= 0x7f:
			return "a path consists of printable characters of ASCII"
		}
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		switch segment {
		case ".", "..":
			return "a path has no part . or .."
		case "":
			// The first is before the leading slash, the last behind a trailing one.
			if i > 0 && i < len(segments)-1 {
				return "a path has no empty part"
			}
		}
	}
	return ""
}

// nameIn is the name of the repository in path, if it has one.
func nameIn(path string) string {
	_, rest, _ := strings.Cut(path, "/v2/")
	end := -1
	for _, kind := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		end = max(end, strings.LastIndex(rest, kind))
	}
	return rest[:max(end, 0)]
}
