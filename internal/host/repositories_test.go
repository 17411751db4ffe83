package host

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"docker-registry-operator/internal/desired"
)

func TestRepositories(t *testing.T) {
	dir := t.TempDir()
	add := func(names ...string) {
		t.Helper()
		for _, name := range names {
			for _, below := range []string{"_manifests/revisions/sha256", "_layers/sha256", "_uploads"} {
				if err := os.MkdirAll(filepath.Join(repositories(dir), name, below), 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	want := func(count desired.Count) {
		t.Helper()
		if got := Repositories(dir); got != count {
			t.Errorf("got %+v, want %+v", got, count)
		}
		if got := HasRepositories(dir); got != (count.Repositories > 0) {
			t.Errorf("has repositories: %v with %+v", got, count)
		}
	}
	want(desired.Count{Known: true})
	if err := os.MkdirAll(repositories(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	want(desired.Count{Known: true})
	add("app", "team/app", "team/app/base")
	want(desired.Count{Known: true, Repositories: 3})
	for i := range 997 {
		add(fmt.Sprintf("many/%d", i))
	}
	want(desired.Count{Known: true, Repositories: 1000})
	add("one/more")
	want(desired.Count{Known: true, Repositories: 1000, More: true})
}

// TestRepositoriesOutOfReach has a file where a directory of repositories should be.
func TestRepositoriesOutOfReach(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := Repositories(dir); got.Known || !HasRepositories(dir) {
		t.Errorf("got %+v, has any %v", got, HasRepositories(dir))
	}
}
