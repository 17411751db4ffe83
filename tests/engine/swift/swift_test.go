package swift_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"docker-registry-operator/tests/engine/keystone"
	"docker-registry-operator/tests/engine/swift"
)

// start is called seldom: it costs seconds.
func start(t *testing.T, options swift.Options) *swift.Server {
	t.Helper()
	if missing := swift.Missing(); len(missing) > 0 {
		t.Skipf("missing: %s", missing)
	}
	server, err := swift.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// call returns the status and the body of an answer of Swift.
func call(t *testing.T, s *swift.Server, method, path, body string) (int, string) {
	t.Helper()
	storage, token, err := s.Authenticate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, storage+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Auth-Token", token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(content)
}

func TestTempauth(t *testing.T) {
	s := start(t, swift.Options{})
	t.Run("info", func(t *testing.T) { features(t, s, true) })
	t.Run("quota", func(t *testing.T) {
		put(t, s, "small", map[string]string{"X-Container-Meta-Quota-Bytes": "10"})
		if status, _ := call(t, s, http.MethodPut, "/small/big", "more than ten bytes"); status != http.StatusRequestEntityTooLarge {
			t.Errorf("an object above the quota answers %d", status)
		}
	})
	t.Run("kept", func(t *testing.T) {
		put(t, s, "kept", nil)
		if status, _ := call(t, s, http.MethodPut, "/kept/a/b", "content"); status != http.StatusCreated {
			t.Fatalf("a new object answers %d", status)
		}
		s.Kill()
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status, body := call(t, s, http.MethodGet, "/kept/a/b", ""); status != http.StatusOK || body != "content" {
			t.Errorf("after the restart the object answers %d %q", status, body)
		}
	})
	t.Run("truncated", func(t *testing.T) {
		files, err := s.DataFiles()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(files["/AUTH_test/kept/a/b"], 3); err != nil {
			t.Fatalf("among %v: %v", files, err)
		}
		if status, body := call(t, s, http.MethodGet, "/kept/a/b", ""); status == http.StatusOK {
			t.Errorf("the truncated object answers %q", body)
		}
	})
}

func TestKeystone(t *testing.T) {
	if missing := keystone.Missing(); len(missing) > 0 {
		t.Skipf("missing: %s", missing)
	}
	k, err := keystone.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	s := start(t, swift.Options{Keystone: k, DynamicOnly: true})
	features(t, s, false)
	put(t, s, "made", nil)
	if status, body := call(t, s, http.MethodGet, "", ""); status != http.StatusOK || body != "made\n" {
		t.Errorf("the containers of the account answer %d %q", status, body)
	}
}

// features holds whether Swift tells that it has static large objects and bulk deletion.
func features(t *testing.T, s *swift.Server, want bool) {
	t.Helper()
	answer, err := http.Get("http://" + s.Address + "/info")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	info, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, feature := range []string{`"slo"`, `"bulk_delete"`} {
		if got := strings.Contains(string(info), feature); got != want {
			t.Errorf("feature %s is %t in %s", feature, got, info)
		}
	}
}

func put(t *testing.T, s *swift.Server, container string, headers map[string]string) {
	t.Helper()
	if err := s.Put(t.Context(), container, headers); err != nil {
		t.Fatal(err)
	}
}
