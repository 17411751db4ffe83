package admin_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/admin"
)

const serving = `{"version": "v3.1.2", "state": "serving", "generation": 3, "config": "sha256:ab",
 "addr": "0.0.0.0:5000", "tls": {"notAfter": "2027-01-02T03:04:05Z"}, "requests": 12}`

// serve answers every request at a new socket, and returns the socket.
func serve(t *testing.T, dir string, handler http.HandlerFunc) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// The kernel refuses long paths, so the server binds by a relative one.
	t.Chdir(dir)
	listener, err := net.Listen("unix", "r.sock")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
	return filepath.Join(dir, "r.sock")
}

func answer(want string, code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if got := r.Method + " " + r.URL.Path; got != want {
			http.Error(w, "asked "+got, http.StatusNotFound)
			return
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

func TestAnswers(t *testing.T) {
	want := admin.Status{
		Version: "v3.1.2", State: admin.Serving, Generation: 3, Config: "sha256:ab", Addr: "0.0.0.0:5000",
		TLS: &admin.TLS{NotAfter: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}, Requests: 12,
	}
	for _, test := range []struct {
		name    string
		request string
		code    int
		call    func(admin.Client, context.Context) (admin.Status, error)
	}{
		{"status", "GET /v1/status", 200, admin.Client.Status},
		{"reload", "POST /v1/reload", 200, admin.Client.Reload},
		{"retire", "POST /v1/retire", 202, admin.Client.Retire},
	} {
		t.Run(test.name, func(t *testing.T) {
			socket := serve(t, t.TempDir(), answer(test.request, test.code, serving))
			got, err := test.call(admin.At(socket), t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSocketPathLongerThanTheKernelTakes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	socket := serve(t, dir, answer("GET /v1/status", 200, serving))
	if _, err := admin.At(socket).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	socket := serve(t, t.TempDir(), answer("POST /v1/reload", 422, `{"error": "unknown driver \"nosuch\""}`))
	_, err := admin.At(socket).Reload(t.Context())
	var refused *admin.RefusedError
	if !errors.As(err, &refused) || refused.Reason != `unknown driver "nosuch"` {
		t.Errorf("got %v, want the refusal", err)
	}
	if errors.Is(err, admin.ErrNoAnswer) {
		t.Error("a refusal counts as no answer")
	}
}

func TestUnexpectedAnswers(t *testing.T) {
	for _, test := range []struct {
		name string
		code int
		body string
		want string
	}{
		{"reason", 500, `{"error": "out of files"}`, `cannot ask registry for its status: registry answered "500 Internal Server Error": out of files`},
		{"no reason", 404, "not found", `cannot ask registry for its status: registry answered "404 Not Found"`},
		{"not json", 200, "hello", "cannot ask registry for its status: cannot read its answer: invalid character 'h' looking for beginning of value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			socket := serve(t, t.TempDir(), answer("GET /v1/status", test.code, test.body))
			_, err := admin.At(socket).Status(t.Context())
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestNoAnswer(t *testing.T) {
	dir := t.TempDir()
	abandoned := filepath.Join(dir, "abandoned.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: abandoned, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	silent := serve(t, t.TempDir(), func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	for _, test := range []struct{ name, socket string }{
		{"no socket", filepath.Join(dir, "none.sock")},
		{"nobody listens", abandoned},
		{"silent", silent},
		{"no directory", filepath.Join(dir, strings.Repeat("deep/", 30), "r.sock")},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := admin.At(test.socket).Status(ctx)
			if !errors.Is(err, admin.ErrNoAnswer) {
				t.Errorf("got %v, want ErrNoAnswer", err)
			}
		})
	}
}
