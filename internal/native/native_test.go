package native

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"docker-registry-operator/internal/desired"
)

func TestCreate(t *testing.T) {
	s := newStage(t)
	s.ensure("created")
	pid := strings.TrimSpace(s.answer())
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("Uid:\t%d\t", s.w.User.UID); !strings.Contains(string(status), want) {
		t.Errorf("registry does not run as %d", s.w.User.UID)
	}
	if target, err := os.Readlink("/proc/" + pid + "/exe"); err != nil || filepath.Dir(target) != s.path(binaries) {
		t.Errorf("registry runs from %s, error %v", target, err)
	}
}

func TestReload(t *testing.T) {
	s := newStage(t)
	s.ensure("created")
	process := s.answer()
	s.configure("text=new\n")
	s.ensure("reloaded")
	if got, want := s.answer(), process+" new"; got != want {
		t.Errorf("registry answers %q, want %q", got, want)
	}
	s.configure("refuse=no such driver\n")
	_, err := s.Ensure(t.Context(), s.w)
	var refused *desired.Refused
	if !errors.As(err, &refused) || refused.Reason != "no such driver" {
		t.Errorf("got %v, want the refusal", err)
	}
	if got, want := s.answer(), process+" new"; got != want {
		t.Errorf("after the refusal the registry answers %q, want %q", got, want)
	}
}

func TestReplaceWithoutAGap(t *testing.T) {
	s := newStage(t)
	s.ensure("created")
	before := s.answer()
	stop := s.load()
	s.w.Env = []string{"X=1"}
	s.ensure("replaced")
	if requests, failed := stop(); failed != nil || requests == 0 {
		t.Errorf("%d requests, failed: %v", requests, failed)
	}
	if s.answer() == before {
		t.Error("the same process serves")
	}
	s.only()
}

func TestReplacedOneFinishesItsRequests(t *testing.T) {
	s := newStage(t)
	s.drain = 0
	s.ensure("created")
	before := s.answer()
	signal := filepath.Join(s.options.Layout.Root, "signal")
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/?until=%s", s.w.Port, signal))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	s.w.Env = []string{"X=1"}
	s.ensure("replaced")
	if err := os.WriteFile(signal, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if got := strings.TrimSpace(string(body)); got != before || err != nil {
		t.Errorf("slow request answered %q, error %v; want %q", got, err, before)
	}
	eventually(t, "predecessor is gone", func() bool {
		_, err := s.Ensure(t.Context(), s.w)
		own, _ := s.services(s.w.Unit)
		return err == nil && len(own) == 1
	})
	s.idle()
}

func TestSuccessorThatDoesNotStart(t *testing.T) {
	s := newStage(t)
	s.ensure("created")
	before, process := s.only(), s.answer()
	s.w.Env = []string{"X=1"}
	s.configure("refuse=bucket must be set\n")
	_, err := s.Ensure(t.Context(), s.w)
	var refused *desired.Refused
	if !errors.As(err, &refused) || refused.Reason != "bucket must be set" {
		t.Errorf("got %v, want the refusal", err)
	}
	if s.only().ID != before.ID || s.answer() != process {
		t.Error("the predecessor does not serve on")
	}
	s.configure("")
	s.ensure("replaced")
}

func TestFirstOneDoesNotStart(t *testing.T) {
	s := newStage(t)
	s.configure("refuse=bucket must be set\n")
	for range 2 {
		_, err := s.Ensure(t.Context(), s.w)
		var refused *desired.Refused
		if !errors.As(err, &refused) || refused.Reason != "bucket must be set" {
			t.Errorf("got %v, want the refusal", err)
		}
	}
	s.configure("")
	if _, err := s.Ensure(t.Context(), s.w); err != nil {
		t.Fatal(err)
	}
	s.idle()
	s.answer()
	s.only()
}

func TestKilledRegistryComesBackByItself(t *testing.T) {
	s := newStage(t)
	s.ensure("created")
	before := s.answer()
	kill(t, registryOf(s.only()))
	eventually(t, "another process serves", func() bool {
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", s.w.Port))
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return strings.TrimSpace(string(body)) != before
	})
	s.idle()
}

func TestHeal(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(*stage, service)
		want  string
	}{
		{"supervisor killed", func(s *stage, v service) { killSupervisor(s.t, v) }, "started"},
		{"both killed", func(s *stage, v service) {
			killSupervisor(s.t, v)
			kill(s.t, registryOf(v))
		}, "started"},
		{"stopped", func(s *stage, v service) {
			if err := syscall.Kill(holder(v), syscall.SIGTERM); err != nil {
				s.t.Fatal(err)
			}
			eventually(s.t, "supervisor has ended", func() bool { return holder(v) == 0 })
		}, "started"},
		{"records removed", func(s *stage, v service) {
			killSupervisor(s.t, v)
			kill(s.t, registryOf(v))
			if err := os.RemoveAll(v.dir); err != nil {
				s.t.Fatal(err)
			}
		}, "created"},
		{"process number used again", func(s *stage, v service) {
			killSupervisor(s.t, v)
			kill(s.t, registryOf(v))
			note := fmt.Appendf(nil, "%d 1\n", os.Getpid())
			if err := os.WriteFile(filepath.Join(v.dir, processFile), note, 0o644); err != nil {
				s.t.Fatal(err)
			}
		}, "started"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t)
			s.ensure("created")
			test.spoil(s, s.only())
			s.ensure(test.want)
			s.answer()
			s.only()
		})
	}
}

func TestSupervisorKilledUnderLoad(t *testing.T) {
	s := newStage(t)
	s.ensure("created")
	stop := s.load()
	killSupervisor(t, s.only())
	s.ensure("started")
	if requests, failed := stop(); failed != nil || requests == 0 {
		t.Errorf("%d requests, failed: %v", requests, failed)
	}
}

func registryOf(v service) int {
	pid, _ := v.process()
	return pid
}

// kill kills a process and waits until it is gone.
func kill(t *testing.T, pid int) {
	t.Helper()
	if pid == 0 {
		t.Fatal("no process to kill")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "process has ended", func() bool { return beginning(pid) == "" })
}

// killSupervisor kills a supervisor and waits until the kernel has freed its lock,
// which is when its last thread is gone.
func killSupervisor(t *testing.T, v service) {
	t.Helper()
	kill(t, holder(v))
	eventually(t, "lock is free", func() bool { return holder(v) == 0 })
}

func TestStopped(t *testing.T) {
	s := newStage(t)
	s.w.Stopped = true
	s.ensure("")
	s.w.Stopped = false
	s.ensure("created")
	pid := registryOf(s.only())
	s.w.Stopped = true
	s.ensure("stopped")
	if beginning(pid) != "" {
		t.Error("registry runs")
	}
	s.w.Stopped = false
	s.ensure("created")
}

func TestRemove(t *testing.T) {
	s := newStage(t)
	s.ensure("created")
	pid := registryOf(s.only())
	for range 2 {
		if err := s.Remove(t.Context(), s.w.Unit); err != nil {
			t.Fatal(err)
		}
	}
	if beginning(pid) != "" {
		t.Error("registry runs")
	}
	for _, dir := range []string{s.path("native"), s.path(binaries), s.options.Layout.Sockets()} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s holds %v, error %v", dir, entries, err)
		}
	}
}

// TestRetire has a client whose request outlasts the patience of one hook.
func TestRetire(t *testing.T) {
	s := newStage(t)
	s.drain = 0
	s.ensure("created")
	before := s.answer()
	signal := filepath.Join(s.options.Layout.Root, "signal")
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/?until=%s", s.w.Port, signal))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := s.Retire(t.Context(), s.w.Unit); err != nil {
		t.Fatal(err)
	}
	s.only()
	if err := os.WriteFile(signal, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if got := strings.TrimSpace(string(body)); got != before || err != nil {
		t.Errorf("slow request answered %q, error %v; want %q", got, err, before)
	}
	eventually(t, "service is gone", func() bool {
		err := s.Retire(t.Context(), s.w.Unit)
		own, _ := s.services(s.w.Unit)
		return err == nil && len(own) == 0
	})
}

func TestBinaryIsReplaced(t *testing.T) {
	s := newStage(t)
	s.ensure("created")
	upgraded := filepath.Join(s.options.Layout.Root, "registry")
	if err := copyFile(s.options.Registry, upgraded); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(upgraded+".sha256", []byte(strings.Repeat("ab", 32)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.options.Registry = upgraded
	s.ensure("replaced")
	installed, err := os.ReadDir(s.path(binaries))
	if err != nil || len(installed) != 1 || installed[0].Name() != "registry-abababababab" {
		t.Errorf("binaries %v, error %v", installed, err)
	}
}

func TestNoDigest(t *testing.T) {
	s := newStage(t)
	s.options.Registry = filepath.Join(s.options.Layout.Root, "none")
	want := fmt.Sprintf("cannot read digest of registry binary: open %s.sha256: no such file or directory", s.options.Registry)
	if _, err := s.Ensure(t.Context(), s.w); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := os.WriteFile(s.options.Registry+".sha256", []byte("nonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want = fmt.Sprintf("cannot read digest of registry binary: %s.sha256 holds no SHA-256 in hex", s.options.Registry)
	if _, err := s.Ensure(t.Context(), s.w); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLogIsBounded(t *testing.T) {
	log := filepath.Join(t.TempDir(), "registry.log")
	if err := os.WriteFile(log, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{8, 7} {
		if err := bound(log, limit); err != nil {
			t.Fatal(err)
		}
	}
	now, err := os.ReadFile(log)
	if err != nil || len(now) > 0 {
		t.Errorf("log holds %q, error %v", now, err)
	}
	old, err := os.ReadFile(log + ".1")
	if err != nil || string(old) != "one\ntwo\n" {
		t.Errorf("old log holds %q, error %v", old, err)
	}
}
