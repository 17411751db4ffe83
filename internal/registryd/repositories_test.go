package registryd_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/registryd"
)

// TestRepositories counts through the driver of the configuration in force.
func TestRepositories(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	count := func() registryd.Repositories {
		t.Helper()
		var counted registryd.Repositories
		if code := u.admin("GET", "/v1/repositories", &counted); code != 200 {
			t.Fatalf("status %d", code)
		}
		return counted
	}
	make := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.MkdirAll(u.path("data/docker/registry/v2/repositories/"+name+"/_manifests/revisions"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	config := u.server.Status().Config
	if diff := cmp.Diff(registryd.Repositories{Config: config}, count()); diff != "" {
		t.Errorf("an empty storage:\n%s", diff)
	}
	make("app", "team/app", "team/base/app")
	if diff := cmp.Diff(registryd.Repositories{Config: config, Count: 3}, count()); diff != "" {
		t.Errorf("three repositories:\n%s", diff)
	}
	for i := range 998 {
		make(fmt.Sprintf("many/%d", i))
	}
	if diff := cmp.Diff(registryd.Repositories{Config: config, Count: 1000, More: true}, count()); diff != "" {
		t.Errorf("1001 repositories:\n%s", diff)
	}
}
