package native

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"docker-registry-operator/internal/desired"
)

// superviseArg makes the test binary the supervisor that tests start.
const superviseArg = "native-supervise"

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == superviseArg {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := Supervise(ctx, os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if binary, _ := standInBinary(); binary != "" {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// stage is a unit on this machine, with a stand-in for the registry's binary.
type stage struct {
	*Host
	t *testing.T
	w desired.Workload
}

func newStage(t *testing.T) *stage {
	t.Helper()
	root, err := os.MkdirTemp("", "nr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	layout := desired.Layout{Root: root}
	s := &stage{t: t, Host: New(Options{
		Layout: layout, Registry: standIn(t), Supervisor: []string{self, superviseArg},
		Log: slog.New(slog.DiscardHandler),
	})}
	s.patience, s.silence = 15*time.Second, 500*time.Millisecond
	user := desired.Identity{UID: os.Getuid(), GID: os.Getgid()}
	if user.UID == 0 {
		user = desired.Identity{UID: 65532, GID: 65532}
	}
	s.w = desired.Workload{
		Name: "registry", Unit: "docker-registry/0", User: user,
		ConfigFile: filepath.Join(layout.Config(), "config.yml"), Sockets: layout.Sockets(),
		Mounts: []desired.Mount{{Path: layout.Config(), ReadOnly: true}, {Path: layout.Data()}, {Path: layout.Sockets()}},
		Port:   freePort(t),
	}
	for _, m := range s.w.Mounts {
		if err := errors.Join(os.MkdirAll(m.Path, 0o755), os.Chown(m.Path, user.UID, user.GID)); err != nil {
			t.Fatal(err)
		}
	}
	s.configure("")
	t.Cleanup(func() {
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
	if err := os.Chmod(dir, 0o755); err != nil {
		return dir, err
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

// idle checks that Ensure does nothing and writes nothing.
func (s *stage) idle() {
	s.t.Helper()
	before := s.files()
	got, err := s.Ensure(s.t.Context(), s.w)
	if err != nil || got.Done != "" {
		s.t.Fatalf("second Ensure: did %q because %q, error %v; want nothing", got.Done, got.Reason, err)
	}
	if after := s.files(); after != before {
		s.t.Fatalf("second Ensure changed files from\n%sto\n%s", before, after)
	}
}

// files are the names and times of all files of the charm's own records.
func (s *stage) files() string {
	s.t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(s.path(), func(path string, entry os.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(path, s.options.Layout.Sockets()) {
			return err
		}
		info, err := entry.Info()
		if err == nil && !entry.IsDir() {
			fmt.Fprintln(&b, path, info.ModTime())
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return b.String()
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

// load asks the registry all the time until stop is called.
func (s *stage) load() (stop func() (int, error)) {
	ctx, cancel := context.WithCancel(s.t.Context())
	type result struct {
		requests int
		err      error
	}
	done := make(chan result)
	go func() {
		var r result
		for ctx.Err() == nil && r.err == nil {
			var response *http.Response
			if response, r.err = http.Get(fmt.Sprintf("http://127.0.0.1:%d/", s.w.Port)); r.err == nil {
				_ = response.Body.Close()
				r.requests++
			}
		}
		done <- r
	}()
	return func() (int, error) {
		cancel()
		r := <-done
		return r.requests, r.err
	}
}

// only is the unit's one service.
func (s *stage) only() service {
	s.t.Helper()
	own, err := s.services(s.w.Unit)
	if err != nil || len(own) != 1 {
		s.t.Fatalf("got services %v, error %v; want one", own, err)
	}
	return own[0]
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
