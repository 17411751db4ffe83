package serve

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	v2 "github.com/distribution/distribution/v3/registry/api/v2"
	"github.com/distribution/reference"
	"github.com/gorilla/mux"
	"github.com/opencontainers/go-digest"
)

// FuzzRoute makes sure that what is taken for a pull is one for distribution's router too, of the same thing, and that
// the paths made of it stay where they belong.
func FuzzRoute(f *testing.F) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for _, path := range []string{
		"/v2/app/blobs/sha256:" + hex, "/v2/a/b-c__d.e/manifests/v1.0", "/v2/a/manifests/sha256:" + hex,
		"/v2/a/blobs/b/manifests/list", "/v2/../blobs/sha256:" + hex, "/v2/a/manifests/..", "/v2/a//manifests/x", "/v2/-a/manifests/x",
	} {
		f.Add(path)
	}
	router := v2.Router()
	f.Fuzz(func(t *testing.T, path string) {
		asked, ok := parsePath("", path)
		if !ok {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		var match mux.RouteMatch
		if !router.Match(r, &match) || match.Route == nil {
			t.Fatalf("%q is no route", path)
		}
		what := asked.tag
		if asked.hex != "" {
			what = digest.NewDigestFromEncoded(digest.SHA256, asked.hex).String()
		}
		if match.Route.GetName() != RouteName("", path) || match.Vars["name"] != asked.repository ||
			match.Vars["digest"]+match.Vars["reference"] != what {
			t.Errorf("%q is %+v, for distribution %s of %v", path, asked, match.Route.GetName(), match.Vars)
		}
		if _, err := reference.WithName(asked.repository); err != nil {
			t.Errorf("%q: %v", path, err)
		}
		tree := tree("/root")
		for _, file := range []string{tree.tagLink(asked.repository, "x"), tree.tagLink("x", asked.tag+"x")} {
			if filepath.Clean(file) != file || !strings.HasPrefix(file, "/root/repositories/") {
				t.Errorf("%q leads to %q", path, file)
			}
		}
	})
}

// TestMemoryIsBounded adds more than is kept and wants the latest, and what was asked for meanwhile.
func TestMemoryIsBounded(t *testing.T) {
	m := NewManifests()
	body := make([]byte, keepEach)
	for i := range 2 * keep / keepEach {
		m.add(fmt.Sprint(i), &manifest{body: body})
		m.add(fmt.Sprint(i), &manifest{body: body}) // two requests may read the same
		if m.get("0") == nil {
			t.Fatalf("what was asked for was forgotten after %d", i)
		}
		if m.bytes > keep || m.bytes != m.recent.Len()*(keepEach+overhead) {
			t.Fatalf("%d bytes of %d manifests", m.bytes, m.recent.Len())
		}
	}
	if m.get("1") != nil {
		t.Error("what nobody asked for was kept")
	}
	m.add("large", &manifest{body: make([]byte, keepEach+1)})
	if m.get("large") != nil {
		t.Error("a large manifest was kept")
	}
}
