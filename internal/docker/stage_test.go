package docker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"docker-registry-operator/internal/desired"
)

// stage is a unit on a real Engine, with a stand-in for the registry's binary.
type stage struct {
	*Engine
	t     *testing.T
	calls *recorder
	root  string
	w     desired.Workload
}

// onEngines runs a test on a fake Engine and, where one answers, on Docker's.
func onEngines(t *testing.T, test func(t *testing.T, s *stage)) {
	t.Helper()
	t.Run("fake", func(t *testing.T) {
		test(t, newStage(t, newFakeEngine(t, shortDir(t))))
	})
	t.Run("Docker", func(t *testing.T) {
		real, err := client.NewClientWithOpts(client.FromEnv)
		if err != nil {
			t.Fatal(err)
		}
		defer real.Close()
		if _, err := real.Ping(t.Context()); err != nil {
			t.Skip("no Docker Engine")
		}
		test(t, newStage(t, real.DaemonHost()))
	})
}

// shortDir is a new directory: the kernel bounds the paths of Unix sockets, and
// those of t.TempDir are long.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// newStage makes a unit on the Engine at an address. It removes all that the test
// leaves behind.
func newStage(t *testing.T, engine string) *stage {
	t.Helper()
	root := shortDir(t)
	s := &stage{t: t, root: root, calls: record(t, engine, filepath.Join(root, "d.sock"))}
	layout := desired.Layout{Root: root}
	made, err := New(Options{
		Host: "unix://" + filepath.Join(root, "d.sock"), Layout: layout,
		Registry: standIn(t), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Engine = made
	t.Cleanup(func() { _ = s.Close() })
	s.patience, s.silence = 15*time.Second, 500*time.Millisecond
	s.w = desired.Workload{
		Name: filepath.Base(root), Unit: "docker-registry/0", User: desired.Identity{UID: 65532, GID: 65532},
		ConfigFile: filepath.Join(layout.Config(), "config.yml"), Sockets: layout.Sockets(),
		Mounts: []desired.Mount{{Path: layout.Config(), ReadOnly: true}, {Path: layout.Data()}, {Path: layout.Sockets()}},
		Port:   freePort(t),
	}
	for _, m := range s.w.Mounts {
		if err := errors.Join(os.MkdirAll(m.Path, 0o755), os.Chown(m.Path, 65532, 65532)); err != nil {
			t.Fatal(err)
		}
	}
	s.configure("")
	t.Cleanup(func() {
		s.calls.failAfter(-1)
		if err := s.Remove(context.Background(), s.w.Unit); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return s
}

var standInBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "standin")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "registry")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "../admin/testdata/registry")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return dir, err
	}
	return binary, os.WriteFile(binary+".sha256", fmt.Appendf(nil, "%x\n", sha256.Sum256(content)), 0o644)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if binary, _ := standInBinary(); binary != "" {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// standIn is the binary of the registry's stand-in, built once for all tests.
func standIn(t *testing.T) string {
	t.Helper()
	binary, err := standInBinary()
	if err != nil {
		t.Fatalf("cannot build stand-in: %v", err)
	}
	return binary
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// configure writes the registry's configuration: lines, and the port.
func (s *stage) configure(lines string) {
	s.t.Helper()
	content := fmt.Appendf(nil, "port=%d\n%s", s.w.Port, lines)
	s.w.Config = fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	if err := os.WriteFile(s.w.ConfigFile, content, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// ensure runs Ensure twice: the first must do what is wanted, the second nothing.
func (s *stage) ensure(want string) {
	s.t.Helper()
	got, err := s.Ensure(s.t.Context(), s.w)
	if err != nil {
		s.t.Fatalf("Ensure: %v", err)
	}
	if got.Done != want {
		s.t.Fatalf("Ensure did %q because %q, want %q", got.Done, got.Reason, want)
	}
	s.idle()
}

// idle checks that Ensure changes nothing.
func (s *stage) idle() {
	s.t.Helper()
	s.calls.reset()
	got, err := s.Ensure(s.t.Context(), s.w)
	if err != nil || got.Done != "" {
		s.t.Fatalf("second Ensure: did %q because %q, error %v; want nothing", got.Done, got.Reason, err)
	}
	if calls := s.calls.changing(); len(calls) > 0 {
		s.t.Fatalf("second Ensure made changing calls: %q", calls)
	}
}

// answer is what the registry answers at its port: its process and text.
func (s *stage) answer() string {
	s.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Get(fmt.Sprintf("http://127.0.0.1:%d/", s.w.Port))
	if err != nil {
		s.t.Fatalf("registry does not answer: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

// only is the unit's one container.
func (s *stage) only() container.InspectResponse {
	s.t.Helper()
	own, err := s.own(s.t.Context(), s.w.Unit)
	if err != nil || len(own) != 1 {
		s.t.Fatalf("got containers %v, error %v; want one", own, err)
	}
	found, err := s.api.ContainerInspect(s.t.Context(), own[0].id)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// eventually waits until a claim holds.
func eventually(t *testing.T, claim string, holds func() bool) {
	t.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("still not so: %s", claim)
}

// recorder stands before an Engine and notes what it is asked to change.
type recorder struct {
	mu    sync.Mutex
	calls []string
	// left is how many changing calls go through before all fail; -1: all do.
	left int
}

func record(t *testing.T, address, socket string) *recorder {
	t.Helper()
	engine, err := client.NewClientWithOpts(client.WithHost(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	dial := engine.Dialer()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx)
		}, DisableKeepAlives: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	r := &recorder{left: -1}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet && q.Method != http.MethodHead && !r.note(q.Method+" "+q.URL.Path) {
			http.Error(w, `{"message": "the test cuts in"}`, http.StatusInternalServerError)
			return
		}
		proxy.ServeHTTP(w, q)
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return r
}

func (r *recorder) note(call string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 {
		return false
	}
	r.left = max(r.left-1, -1)
	r.calls = append(r.calls, call)
	return true
}

func (r *recorder) failAfter(calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = calls
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = nil
}

func (r *recorder) changing() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}
