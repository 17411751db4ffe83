package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/desired"
)

func TestCreate(t *testing.T) { onEngines(t, testCreate) }

func testCreate(t *testing.T, s *stage) {
	s.ensure("created")
	s.answer()
	c := s.only()
	type facts struct {
		Name, User, Network, Restart, Log string
		Drop, Add, Env                    []string
		ReadOnlyRoot, Privileged          bool
		Mounts                            []desired.Mount
	}
	got := facts{
		Name: c.Name, User: c.Config.User, Network: string(c.HostConfig.NetworkMode),
		Restart: string(c.HostConfig.RestartPolicy.Name), Log: c.HostConfig.LogConfig.Type,
		Drop: c.HostConfig.CapDrop, Add: c.HostConfig.CapAdd,
		ReadOnlyRoot: c.HostConfig.ReadonlyRootfs, Privileged: c.HostConfig.Privileged,
	}
	for _, m := range c.HostConfig.Mounts {
		got.Mounts = append(got.Mounts, desired.Mount{Path: m.Target, ReadOnly: m.ReadOnly})
	}
	want := facts{
		Name: "/" + s.w.Name, User: "65532:65532", Network: "host", Restart: "unless-stopped", Log: "json-file",
		Drop: []string{"ALL"}, ReadOnlyRoot: true, Mounts: s.w.Mounts,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("container (-want +got):\n%s", diff)
	}
	if strings.HasSuffix(t.Name(), "/Docker") {
		hardened(t, c.State.Pid)
	}
}

// hardened checks what the kernel says of a registry's process.
func hardened(t *testing.T, pid int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Uid:\t65532\t65532\t65532\t65532", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(string(status), line+"\n") {
			t.Errorf("process lacks %q", line)
		}
	}
}

func TestReload(t *testing.T) { onEngines(t, testReload) }

func testReload(t *testing.T, s *stage) {
	s.ensure("created")
	before, process := s.only().ID, s.answer()
	s.configure("text=new\n")
	s.ensure("reloaded")
	if got, want := s.answer(), process+" new"; got != want || s.only().ID != before {
		t.Errorf("registry answers %q, want %q of the same container", got, want)
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
	s.configure("text=newer\n")
	s.ensure("reloaded")
}

func TestReplaceWithoutAGap(t *testing.T) { onEngines(t, testReplaceWithoutAGap) }

func testReplaceWithoutAGap(t *testing.T, s *stage) {
	s.ensure("created")
	before := s.only().ID
	stop := s.load()
	s.w.Env = []string{"X=1"}
	s.ensure("replaced")
	requests, failed := stop()
	if failed != nil || requests == 0 {
		t.Errorf("%d requests, failed: %v", requests, failed)
	}
	if after := s.only(); after.ID == before || after.Name != "/"+s.w.Name {
		t.Errorf("container %s named %s, want a new one named %s", after.ID, after.Name, s.w.Name)
	}
	sockets, err := os.ReadDir(s.w.Sockets)
	if err != nil || len(sockets) != 1 {
		t.Errorf("admin sockets %v, error %v; want one", sockets, err)
	}
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

func TestReplacedOneFinishesItsRequests(t *testing.T) {
	onEngines(t, testReplacedOneFinishesItsRequests)
}

func testReplacedOneFinishesItsRequests(t *testing.T, s *stage) {
	s.drain = 0
	s.ensure("created")
	before, process := s.only(), s.answer()
	signal := filepath.Join(s.root, "etc/docker/registry/signal")
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/?until=%s", s.w.Port, signal))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	s.w.Env = []string{"X=1"}
	s.ensure("replaced")
	old, err := s.api.ContainerInspect(t.Context(), before.ID)
	if err != nil || !old.State.Running || old.HostConfig.RestartPolicy.Name != container.RestartPolicyDisabled {
		t.Fatalf("predecessor does not finish its request: %v", err)
	}
	if err := os.WriteFile(signal, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if got := strings.TrimSpace(string(body)); got != process || err != nil {
		t.Errorf("slow request answered %q, error %v; want %q", got, err, process)
	}
	eventually(t, "predecessor has ended", func() bool {
		old, err := s.api.ContainerInspect(t.Context(), before.ID)
		return err == nil && !old.State.Running
	})
	s.ensure("removed")
	s.only()
}

func TestSuccessorThatDoesNotStart(t *testing.T) { onEngines(t, testSuccessorThatDoesNotStart) }

func testSuccessorThatDoesNotStart(t *testing.T, s *stage) {
	s.ensure("created")
	before, process := s.only(), s.answer()
	s.w.Env = []string{"X=1"}
	s.configure("refuse=bucket must be set\n")
	_, err := s.Ensure(t.Context(), s.w)
	var refused *desired.Refused
	if !errors.As(err, &refused) || refused.Reason != "bucket must be set" {
		t.Errorf("got %v, want the refusal", err)
	}
	if after := s.only(); after.ID != before.ID || after.Name != before.Name || s.answer() != process {
		t.Errorf("the predecessor does not serve on")
	}
	s.configure("")
	s.ensure("replaced")
}

func TestFirstOneDoesNotStart(t *testing.T) { onEngines(t, testFirstOneDoesNotStart) }

func testFirstOneDoesNotStart(t *testing.T, s *stage) {
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
}

func TestRename(t *testing.T) { onEngines(t, testRename) }

func testRename(t *testing.T, s *stage) {
	s.ensure("created")
	before := s.only()
	s.w.Name += "-2"
	s.ensure("renamed")
	after := s.only()
	if after.ID != before.ID || after.State.Pid != before.State.Pid || after.Name != "/"+s.w.Name {
		t.Errorf("container %s named %s, want %s renamed", after.ID, after.Name, before.ID)
	}
}

func TestHeal(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(*stage, string) error
		want  string
	}{
		{"killed", func(s *stage, id string) error { return s.api.ContainerKill(s.t.Context(), id, "KILL") }, "started"},
		{"stopped", func(s *stage, id string) error {
			return s.api.ContainerStop(s.t.Context(), id, container.StopOptions{})
		}, "started"},
		{"paused", func(s *stage, id string) error { return s.api.ContainerPause(s.t.Context(), id) }, "started"},
		{"removed", func(s *stage, id string) error {
			return s.api.ContainerRemove(s.t.Context(), id, container.RemoveOptions{Force: true})
		}, "created"},
		{"renamed", func(s *stage, id string) error { return s.api.ContainerRename(s.t.Context(), id, s.w.Name+"-x") }, "renamed"},
		{"admin socket gone", func(s *stage, _ string) error {
			return os.Remove(s.only().Config.Labels[labelSocket])
		}, "restarted"},
		{"admin sockets gone", func(s *stage, _ string) error {
			return errors.Join(os.RemoveAll(s.w.Sockets), os.Mkdir(s.w.Sockets, 0o755), os.Chown(s.w.Sockets, 65532, 65532))
		}, "replaced"},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, s *stage) {
				s.ensure("created")
				if err := test.spoil(s, s.only().ID); err != nil {
					t.Fatal(err)
				}
				s.ensure(test.want)
				s.answer()
				if c := s.only(); c.Name != "/"+s.w.Name {
					t.Errorf("container is named %s", c.Name)
				}
			})
		})
	}
}

func TestStopped(t *testing.T) { onEngines(t, testStopped) }

func testStopped(t *testing.T, s *stage) {
	s.w.Stopped = true
	s.ensure("")
	s.w.Stopped = false
	s.ensure("created")
	before := s.only().ID
	s.w.Stopped = true
	s.ensure("stopped")
	if c := s.only(); c.State.Running {
		t.Error("container runs")
	}
	s.w.Stopped = false
	s.ensure("started")
	if s.only().ID != before {
		t.Error("container is a new one")
	}
}

func TestNames(t *testing.T) { onEngines(t, testNames) }

func testNames(t *testing.T, s *stage) {
	tag := builtIn + ":" + s.tag()
	if err := s.Engine.load(t.Context(), tag); err != nil {
		t.Fatal(err)
	}
	foreign := func(name, dir string) string {
		t.Helper()
		spec := spec{workload: s.w, image: tag, root: "elsewhere"}
		spec.workload.Mounts = []desired.Mount{{Path: dir}}
		if dir != s.root {
			spec.workload.Mounts = append(spec.workload.Mounts, desired.Mount{Path: s.w.Sockets})
			spec.workload.Mounts = append(spec.workload.Mounts, desired.Mount{Path: filepath.Dir(s.w.ConfigFile)})
		}
		made, err := s.create(t.Context(), spec, "x", name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.remove(context.Background(), made) })
		return made.id
	}
	foreign(s.w.Name, s.root)
	_, err := s.Ensure(t.Context(), s.w)
	var taken *desired.NameTaken
	if !errors.As(err, &taken) || taken.Name != s.w.Name {
		t.Fatalf("got %v, want desired.NameTaken", err)
	}
	s.w.Name += "-b"
	id := foreign(s.w.Name, filepath.Join(s.root, "srv/registry"))
	if err := s.api.ContainerStart(t.Context(), id, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	s.ensure("replaced")
	if _, err := s.api.ContainerInspect(t.Context(), id); err == nil {
		t.Error("the other charm's container is still there")
	}
}

// tag is the tag of the built-in image.
func (s *stage) tag() string {
	digest, err := s.binaryDigest()
	if err != nil {
		s.t.Fatal(err)
	}
	return digest[:12]
}

// TestInterrupted cuts a replacement off after each of its changing calls. The next
// Ensure must come to the same end, and the registry must serve all the time.
func TestInterrupted(t *testing.T) {
	for calls := range 12 {
		t.Run(fmt.Sprintf("after %d calls", calls), func(t *testing.T) {
			if calls%3 == 0 { // all of them would take Docker half a minute
				onEngines(t, func(t *testing.T, s *stage) { testInterrupted(t, s, calls) })
				return
			}
			testInterrupted(t, newStage(t, newFakeEngine(t, shortDir(t))), calls)
		})
	}
}

func testInterrupted(t *testing.T, s *stage, calls int) {
	s.ensure("created")
	stop := s.load()
	s.w.Env = []string{"X=1"}
	s.calls.failAfter(calls)
	_, cut := s.Ensure(t.Context(), s.w)
	if calls == 11 && cut != nil {
		t.Errorf("a replacement takes more than %d changing calls: test more", calls)
	}
	s.calls.failAfter(-1)
	if _, err := s.Ensure(t.Context(), s.w); err != nil {
		t.Fatalf("next Ensure: %v", err)
	}
	s.idle()
	if requests, failed := stop(); failed != nil || requests == 0 {
		t.Errorf("%d requests, failed: %v", requests, failed)
	}
	if c := s.only(); c.Name != "/"+s.w.Name || !slices.Contains(c.Config.Env, "X=1") {
		t.Errorf("container %s with %v", c.Name, c.Config.Env)
	}
}

// TestDirectoryMadeAnew puts another directory in the place of one that is mounted.
func TestDirectoryMadeAnew(t *testing.T) { onEngines(t, testDirectoryMadeAnew) }

func testDirectoryMadeAnew(t *testing.T, s *stage) {
	s.ensure("created")
	data := s.w.Mounts[1].Path
	if err := errors.Join(os.Rename(data, data+".old"), os.Mkdir(data, 0o755)); err != nil {
		t.Fatal(err)
	}
	s.ensure("replaced")
}

// TestFormerImage leaves an image behind, as a replacement does that was cut off at its
// end.
func TestFormerImage(t *testing.T) { onEngines(t, testFormerImage) }

func testFormerImage(t *testing.T, s *stage) {
	s.ensure("created")
	former := builtIn + ":former"
	if err := s.Tag(t.Context(), builtIn+":"+s.tag(), former); err != nil {
		t.Fatal(err)
	}
	s.ensure("")
	if _, err := s.inspectImage(t.Context(), former); !errors.Is(err, ErrNoSuchImage) {
		t.Errorf("got %v of the former image, want %v", err, ErrNoSuchImage)
	}
	s.idle()
}

func TestRemove(t *testing.T) { onEngines(t, testRemove) }

func testRemove(t *testing.T, s *stage) {
	s.ensure("created")
	for range 2 {
		if err := s.Remove(t.Context(), s.w.Unit); err != nil {
			t.Fatal(err)
		}
	}
	own, err := s.own(t.Context(), s.w.Unit)
	if err != nil || len(own) > 0 {
		t.Errorf("containers %v, error %v", own, err)
	}
	if _, err := s.inspectImage(t.Context(), builtIn+":"+s.tag()); !errors.Is(err, ErrNoSuchImage) {
		t.Errorf("got %v of the image, want %v", err, ErrNoSuchImage)
	}
}

// TestRetire has a client whose request outlasts the patience of one hook.
func TestRetire(t *testing.T) { onEngines(t, testRetire) }

func testRetire(t *testing.T, s *stage) {
	s.ensure("created")
	process := s.answer()
	s.drain = 0
	signal := filepath.Join(s.root, "etc/docker/registry/signal")
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
	if got := strings.TrimSpace(string(body)); got != process || err != nil {
		t.Errorf("slow request answered %q, error %v; want %q", got, err, process)
	}
	eventually(t, "container is gone", func() bool {
		err := s.Retire(t.Context(), s.w.Unit)
		own, _ := s.own(t.Context(), s.w.Unit)
		return err == nil && len(own) == 0
	})
}

func TestNoEngine(t *testing.T) {
	e, err := New(Options{Host: "unix://" + filepath.Join(t.TempDir(), "none.sock"), Registry: standIn(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, ensure := e.Ensure(t.Context(), desired.Workload{Name: "registry", Unit: "docker-registry/0"})
	for name, err := range map[string]error{
		"Ensure": ensure, "Remove": e.Remove(t.Context(), "docker-registry/0"),
		"Pull": e.Pull(t.Context(), "a:b", nil),
	} {
		if !errors.Is(err, desired.ErrNoEngine) {
			t.Errorf("%s: %v, want desired.ErrNoEngine", name, err)
		}
	}
}
