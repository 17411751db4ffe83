package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"docker-registry-operator/internal/desired"
)

// legacy starts a container like those of the charm that this one replaces, and returns
// its ID. It is on the host's network, for which the Engine takes no notice of ports.
func (s *stage) legacy(name string) string {
	s.t.Helper()
	tag := builtIn + ":" + s.tag()
	if err := s.Engine.load(s.t.Context(), tag); err != nil {
		s.t.Fatal(err)
	}
	// The running container keeps this file, whatever takes its place.
	former := filepath.Join(s.root, "former.yml")
	if err := os.WriteFile(former, fmt.Appendf(nil, "port=%d\ntext=old\n", s.w.Port), 0o644); err != nil {
		s.t.Fatal(err)
	}
	host := (spec{workload: s.w}).host()
	host.ReadonlyRootfs = false
	host.Mounts = []mount.Mount{
		{Type: mount.TypeBind, Source: s.w.ConfigFile, Target: "/etc/docker/registry/config.yml"},
		{Type: mount.TypeBind, Source: former, Target: former},
	}
	config := &container.Config{Image: tag, Cmd: []string{"serve", former}}
	if err := json.Unmarshal([]byte(`{"5000/tcp": [{"HostPort": "5000"}], "5001/tcp": [{"HostPort": "5001"}]}`), &host.PortBindings); err != nil {
		s.t.Fatal(err)
	}
	made, err := s.api.ContainerCreate(s.t.Context(), config, host, nil, nil, name)
	if err == nil {
		err = s.api.ContainerStart(s.t.Context(), made.ID, container.StartOptions{})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = s.api.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true})
	})
	eventually(s.t, "the other charm's registry answers", func() bool {
		found, err := s.api.ContainerInspect(s.t.Context(), made.ID)
		return err == nil && found.State.Running
	})
	return made.ID
}

// left says that a container is still there, and whether it runs.
func (s *stage) left(id string) (there, running bool) {
	s.t.Helper()
	found, err := s.api.ContainerInspect(s.t.Context(), id)
	return err == nil, err == nil && found.State.Running
}

func TestPredecessor(t *testing.T) {
	for _, suffix := range []string{"", "-old"} {
		t.Run("name"+suffix, func(t *testing.T) {
			onEngines(t, func(t *testing.T, s *stage) {
				id := s.legacy(s.w.Name + suffix)
				s.ensure("replaced")
				if there, _ := s.left(id); there {
					t.Error("the other charm's container is still there")
				}
				if name := s.only().Name; name != "/"+s.w.Name {
					t.Errorf("container is named %s, want %s", name, s.w.Name)
				}
			})
		})
	}
}

// TestPredecessorInterrupted cuts the replacement off after each of its changing calls.
func TestPredecessorInterrupted(t *testing.T) {
	for calls := range 8 {
		for _, suffix := range []string{"", "-old"} {
			t.Run(fmt.Sprintf("after %d calls, name%s", calls, suffix), func(t *testing.T) {
				s := newStage(t, newFakeEngine(t, shortDir(t)))
				id := s.legacy(s.w.Name + suffix)
				s.calls.failAfter(calls)
				_, cut := s.Ensure(t.Context(), s.w)
				if calls == 7 && cut != nil {
					t.Errorf("a replacement takes more than %d changing calls: test more", calls)
				}
				s.calls.failAfter(-1)
				if _, err := s.Ensure(t.Context(), s.w); err != nil {
					t.Fatalf("next Ensure: %v", err)
				}
				s.idle()
				if there, _ := s.left(id); there || s.only().Name != "/"+s.w.Name {
					t.Errorf("the other charm's container is there: %v, the unit's is named %s", there, s.only().Name)
				}
			})
		}
	}
}

// TestPredecessorServesOn has a successor that refuses its configuration.
func TestPredecessorServesOn(t *testing.T) { onEngines(t, testPredecessorServesOn) }

func testPredecessorServesOn(t *testing.T, s *stage) {
	id := s.legacy(s.w.Name)
	s.configure("refuse=no such driver\n")
	outcome, err := s.Ensure(t.Context(), s.w)
	if refused := (*desired.Refused)(nil); !errors.As(err, &refused) || outcome.Resume == nil {
		t.Fatalf("got %v, want a refusal and a way back", err)
	}
	if err := outcome.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, running := s.left(id); !running {
		t.Error("the other charm's registry does not run")
	}
	own, err := s.own(t.Context(), s.w.Unit)
	if err != nil || len(own) > 0 {
		t.Errorf("containers %v, error %v; want none", own, err)
	}
}

func TestPredecessorIsStoppedAndRemoved(t *testing.T) {
	onEngines(t, testPredecessorIsStoppedAndRemoved)
}

func testPredecessorIsStoppedAndRemoved(t *testing.T, s *stage) {
	id := s.legacy(s.w.Name + "-old")
	s.w.Stopped = true
	s.ensure("stopped")
	if there, running := s.left(id); !there || running {
		t.Errorf("the other charm's container is there: %v, runs: %v", there, running)
	}
	if err := s.Remove(t.Context(), s.w.Unit); err != nil {
		t.Fatal(err)
	}
	if there, _ := s.left(id); there {
		t.Error("the other charm's container is still there")
	}
}
