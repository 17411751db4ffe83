package registryd_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

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

// TestWrites counts a push from its first byte to its end, also by a generation that was
// replaced meanwhile, and no pull.
func TestWrites(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	await := func(want int) {
		t.Helper()
		for range 1000 {
			if u.server.Status().Writes == want {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%d writes, want %d", u.server.Status().Writes, want)
	}
	begun, err := http.Post(u.url("/v2/app/blobs/uploads/"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = begun.Body.Close()
	await(0)
	body, slow := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, begun.Header.Get("Location"), body)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		ended <- err
	}()
	if _, err := slow.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	await(1)
	u.reload(filesystem("127.0.0.1:0", "log: {level: debug}"))
	await(1)
	if err := slow.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	await(0)
}
