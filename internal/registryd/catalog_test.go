package registryd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/google/go-cmp/cmp"
)

// built is a generation with a section on top of the least configuration. It is closed with the test.
func built(t *testing.T, more string) (*generation, string) {
	t.Helper()
	dir := t.TempDir()
	config, data := filepath.Join(dir, "config.yml"), filepath.Join(dir, "data")
	text := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: x%s\n", data, more)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(Options{Config: config, Log: io.Discard})
	g, err := s.build(config, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
		s.notifier.close(0)
	})
	return g, data
}

// repositoryTree is names of all shapes: beside, below and between each other.
func repositoryTree() []string {
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"a", "a-b", "a.b", "a0", "a_b", "0", "b", "app", "team"}
	names := map[string]bool{}
	for range 120 {
		name := parts[random.IntN(len(parts))]
		for range random.IntN(4) {
			name += "/" + parts[random.IntN(len(parts))]
		}
		names[name] = true
	}
	var all []string
	for name := range names {
		all = append(all, name)
	}
	return all
}

func fill(t *testing.T, driver storagedriver.StorageDriver, names []string) {
	t.Helper()
	for _, name := range names {
		for _, file := range []string{"_manifests/revisions/sha256/0/link", "_manifests/tags/v1/current/link", "_layers/sha256/0/link", "_uploads/0/startedat"} {
			if err := driver.PutContent(t.Context(), repositoriesRoot+"/"+name+"/"+file, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// fallback walks as distribution does where a driver has no walk of its own.
type fallback struct{ storagedriver.StorageDriver }

func (d fallback) Walk(ctx context.Context, path string, f storagedriver.WalkFn, options ...func(*storagedriver.WalkOptions)) error {
	return storagedriver.WalkFallback(ctx, d.StorageDriver, path, f, options...)
}

// TestCatalogPages compares pages of each size, from each repository on, with those that distribution makes
// of one large page.
func TestCatalogPages(t *testing.T) {
	g, _ := built(t, "}")
	tree := repositoryTree()
	fill(t, g.app.driver, tree)
	namespace, err := storage.NewRegistry(t.Context(), fallback{g.app.driver})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]string, len(tree)+1)
	if n, err := namespace.Repositories(t.Context(), want, ""); !errors.Is(err, io.EOF) || n != len(tree) {
		t.Fatalf("%d of %d repositories: %v", n, len(tree), err)
	}
	want = want[:len(tree)]
	for name, driver := range map[string]storagedriver.StorageDriver{"own": g.app.driver, "fallback": fallback{g.app.driver}} {
		for _, size := range []int{1, 2, 7, len(tree), len(tree) + 1} {
			last := ""
			for from := 0; from < len(want); from += size {
				got, more, err := page(t.Context(), driver, size, last, everything)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want[from:min(from+size, len(want))], got); diff != "" || more != (from+size < len(want)) {
					t.Fatalf("%s walk, %d after %q, more %t:\n%s", name, size, last, more, diff)
				}
				last = got[len(got)-1]
			}
			if got, more, err := page(t.Context(), driver, size, last, everything); err != nil || more || len(got) > 0 {
				t.Errorf("%s walk: after the last repository come %q, %v", name, got, err)
			}
		}
	}
}

func everything(string) bool { return true }

// TestCatalogVisible has pages filled with what may be seen.
func TestCatalogVisible(t *testing.T) {
	g, _ := built(t, "}")
	fill(t, g.app.driver, []string{"a", "b", "b/hidden", "c", "d"})
	visible := func(name string) bool { return !strings.Contains(name, "hidden") && name != "a" }
	first, _, err := page(t.Context(), g.app.driver, 2, "", visible)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := page(t.Context(), g.app.driver, 2, "c", visible)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"b", "c"}, {"d"}}, [][]string{first, second}); diff != "" {
		t.Error(diff)
	}
}

// TestCatalogOfUsers has each see the repositories that a policy shows him.
func TestCatalogOfUsers(t *testing.T) {
	g, _ := built(t, "}")
	fill(t, g.app.driver, []string{"app", "public/app", "team/app"})
	c := newCatalog(g)
	c.gate = newTestGate(t, withPolicy)
	for user, want := range map[string]string{
		"": `{"repositories":["public/app"]}`, "ci": `{"repositories":["public/app","team/app"]}`,
	} {
		r, w := httptest.NewRequest(http.MethodGet, "/v2/_catalog", nil), httptest.NewRecorder()
		if user != "" {
			r.SetBasicAuth(user, user)
		}
		c.serve(nil).ServeHTTP(w, r)
		if got := strings.TrimSpace(w.Body.String()); got != want {
			t.Errorf("user %q: %s", user, got)
		}
	}
}

// TestCatalogAnswers compares answers with those of distribution's application.
func TestCatalogAnswers(t *testing.T) {
	for _, more := range []string{
		"}", ", headers: {X-Kind: [a, b]}}", ", prefix: /images/}", "}\ncatalog: {maxentries: 3}",
		"}\nauth: {silly: {realm: r, service: s}}",
	} {
		g, _ := built(t, more)
		prefix := strings.TrimSuffix(g.HTTP.Prefix, "/")
		for _, query := range []string{
			"", "?n=0", "?n=1", "?n=2&last=a", "?n=3&last=b", "?n=-1", "?n=x", "?n=100000", "?n=", "?last=b/c", "?last=nowhere",
			"?last=z", "?last=a%2F", "?n=1&last=" + url.QueryEscape("ä ö"), "?n=2&other=1",
		} {
			path := prefix + "/v2/_catalog" + query
			if diff := cmp.Diff(listed(g.app, path, true), listed(g.handler, path, true)); diff != "" {
				t.Errorf("empty, %s, GET %s:\n%s", more, path, diff)
			}
		}
		fill(t, g.app.driver, []string{"a", "b", "b/c", "d"})
		for _, query := range []string{"", "?n=0", "?n=1", "?n=2&last=a", "?n=4", "?n=3&last=b", "?n=-1", "?n=x", "?last=z", "?last=a0"} {
			path := prefix + "/v2/_catalog" + query
			for _, allowed := range []bool{true, false} {
				if diff := cmp.Diff(listed(g.app, path, allowed), listed(g.handler, path, allowed)); diff != "" {
					t.Errorf("%s, GET %s:\n%s", more, path, diff)
				}
			}
		}
	}
}

type answer struct {
	Status int
	Header http.Header
	Body   string
}

func listed(handler http.Handler, path string, allowed bool) answer {
	r := httptest.NewRequestWithContext(context.Background(), "GET", path, nil)
	if allowed {
		r.Header.Set("Authorization", "silly")
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	for _, values := range w.Header() {
		slices.Sort(values)
	}
	return answer{w.Code, w.Header(), w.Body.String()}
}
