package serve

import (
	"net/http"
	"strings"

	v2 "github.com/distribution/distribution/v3/registry/api/v2"

	"docker-registry-operator/internal/registryd/route"
)

// pull is what a request asks for.
type pull struct {
	repository string
	kind       route.Kind
	tag        string // "" for a pull by digest
	hex        string // of the sha256, "" for a pull by tag
}

const (
	algorithm = "sha256:"
	hexLength = 64
	// nameLimit is reference.RepositoryNameTotalLengthMax.
	nameLimit = 255
	tagLimit  = 128
)

// parsePull takes r apart. It knows fewer names than distribution: what it does not know, or what asks for
// anything besides the pull, is not ok. What is ok has no character and no part that means something in a path.
func parsePull(prefix string, r *http.Request) (pull, bool) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return pull{}, false
	}
	// distribution wants rights for the repository that "from" names, whatever the method.
	if r.URL.RawQuery != "" && r.URL.Query().Has("from") {
		return pull{}, false
	}
	return parsePath(prefix, r.URL.Path)
}

// RouteName is the name that distribution's router has for path below prefix, "" if it may be none of a blob or of
// a manifest. The router tries one regular expression after another, which costs more than a pull.
func RouteName(prefix, path string) string {
	asked, ok := parsePath(prefix, path)
	if !ok {
		return ""
	}
	if asked.kind == route.Blobs {
		return v2.RouteNameBlob
	}
	return v2.RouteNameManifest
}

func parsePath(prefix, path string) (pull, bool) {
	parts, ok := route.Parse(prefix, path)
	if !ok || !validName(parts.Repository) {
		return pull{}, false
	}
	asked := pull{repository: parts.Repository, kind: parts.Kind}
	if hex, ok := strings.CutPrefix(parts.Reference, algorithm); ok {
		asked.hex = hex
		return asked, validHex(hex) && (asked.kind == route.Blobs || asked.kind == route.Manifests)
	}
	asked.tag = parts.Reference
	return asked, asked.kind == route.Manifests && validTag(asked.tag)
}

// validName reports whether name is a repository of distribution's grammar without the optional domain.
func validName(name string) bool {
	if len(name) > nameLimit {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if !validPart(part) {
			return false
		}
	}
	return true
}

// validPart reports whether part is made of [a-z0-9]+ between separators, each of which is ".", "_", "__" or
// any number of "-".
func validPart(part string) bool {
	if part == "" || !alphanumeric(part[0]) {
		return false
	}
	for i := 0; i < len(part); {
		begin := i
		for i < len(part) && !alphanumeric(part[i]) {
			i++
		}
		if i == len(part) || i > begin && !validSeparator(part[begin:i]) {
			return false
		}
		for i < len(part) && alphanumeric(part[i]) {
			i++
		}
	}
	return true
}

func alphanumeric(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func validSeparator(s string) bool {
	return s == "." || s == "_" || s == "__" || strings.Trim(s, "-") == ""
}

func validTag(tag string) bool {
	if tag == "" || len(tag) > tagLimit || tag[0] == '.' || tag[0] == '-' {
		return false
	}
	for i := range len(tag) {
		c := tag[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-') {
			return false
		}
	}
	return true
}

// validHex reports whether hex is a sha256 as it stands in paths; distribution takes no other case either.
func validHex(hex string) bool {
	if len(hex) != hexLength {
		return false
	}
	for i := range len(hex) {
		if c := hex[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
