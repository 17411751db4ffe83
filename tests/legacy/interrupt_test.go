package legacy_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"
)

// TestInterrupted kills the hook of a refresh again and again, each time further on its way, and has the
// registry's name changed with it.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, nil)
	s.serve()
	c := newClient(s.machines[0], 5000, nil)
	all, unit := s.publish(c, 10), s.app.Units()[0]
	former := func(c found) bool { return c.Labels["docker-registry.unit"] == "" }
	running := func(c found) bool { return c.State == "running" }
	wrote := s.changed("/etc/docker/registry/config.yml")
	stages := []struct {
		name    string
		reached func() bool
	}{
		{"the former charm's files are known", s.there("/var/lib/docker-registry/files.json")},
		{"files are written", wrote},
		{"the successor is made", func() bool { return len(s.containers(0)) > 1 }},
		{"the former registry is stopped", func() bool {
			return !slices.ContainsFunc(s.containers(0), func(c found) bool { return former(c) && running(c) })
		}},
		{"the successor runs", func() bool {
			return slices.ContainsFunc(s.containers(0), func(c found) bool { return !former(c) && running(c) })
		}},
		{"the former registry is removed", func() bool { return !slices.ContainsFunc(s.containers(0), former) }},
		{"its traces are being removed", func() bool { return !s.there("/etc/default/docker")() }},
	}
	unit.StopAgent()
	s.must(s.app.Refresh(s.charm))
	s.must(s.app.SetConfig(map[string]string{"registry-name": "images"}))
	s.after("config-changed", func() {
		s.must(unit.StartAgent(s.ctx))
		for _, stage := range stages {
			s.must(unit.WaitHook(s.ctx, "upgrade-charm"))
			for !stage.reached() && s.ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			hook, killed, err := unit.KillHook(s.ctx, 0)
			s.must(err)
			t.Logf("%s: %s, killed: %v", stage.name, hook, killed)
			if hook.Name != "upgrade-charm" {
				break
			}
		}
	})
	s.pull(c, all)
	s.must(c.push(s.ctx, images(11)[10]))
	s.after("update-status", unit.UpdateStatus)
	s.wantStatus(0, "active: Ready at "+s.machines[0].Address()+":5000 (http).")
	s.container(0, "images")
	s.buried(0)
	s.same("files of others", s.on(0, "find /srv/registry /etc/docker/registry ! -uid 65532"), "/etc/docker/registry")
	s.quiet(0)
	s.removed(0)
}

// TestRefused has options changed with the refresh so that the new registry cannot start. The former one
// must serve on, with its own files, until the operator has mended them.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, nil)
	s.serve()
	c := newClient(s.machines[0], 5000, nil)
	all := s.publish(c, 5)
	config := s.read(0, "/etc/docker/registry/config.yml")
	taken, err := s.machines[0].Listen(s.ctx, "tcp", "127.0.0.1:5999")
	s.must(err)
	defer func() { _ = taken.Close() }()

	s.refresh(map[string]string{"debug-port": "5999"})
	s.noFailure()
	s.wantStatus(0, `blocked: Invalid charm config: option "debug-port": port 5999 is in use by another program; choose another one`)
	s.pull(c, all)
	s.same("config.yml", s.read(0, "/etc/docker/registry/config.yml"), config)
	s.same("containers", s.on(0, "docker ps -a --format '{{.Names}} {{.Image}}'"), "registry registry:2")
	s.same("marker", s.there(s.app.Units()[0].CharmDir()+"/.unit-state.db")(), true)

	s.after("config-changed", func() { s.must(s.app.ResetConfig("debug-port")) })
	s.noFailure()
	s.wantStatus(0, "active: Ready at "+s.machines[0].Address()+":5000 (http).")
	s.pull(c, all)
	s.container(0, "registry")
	s.removed(0)
}

// found is a container as the engine lists it.
type found struct {
	State  string
	Labels map[string]string
}

// containers asks the engine itself, which takes a fraction of the time that its client does.
func (s *site) containers(unit int) []found {
	s.t.Helper()
	client := s.machines[unit].EngineClient()
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://engine/containers/json?all=1")
	s.must(err)
	defer func() { _ = resp.Body.Close() }()
	var list []found
	s.must(json.NewDecoder(resp.Body).Decode(&list))
	return list
}

// there says whether the first machine has a file.
func (s *site) there(path string) func() bool {
	return func() bool {
		_, err := os.Lstat(s.machines[0].Path(path))
		return err == nil
	}
}

// changed says whether a file of the first machine holds something else than now.
func (s *site) changed(path string) func() bool {
	before := s.read(0, path)
	return func() bool { return s.read(0, path) != before }
}
