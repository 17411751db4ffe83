package legacy_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/gobuild"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/legacy"
	"docker-registry-operator/tests/machine"
)

// patience bounds each test. An idle machine needs a fraction.
const patience = 4 * time.Minute

// The programs that all tests need are built once.
var (
	charm = sync.OnceValues(func() (string, error) { return gobuild.Charm(context.Background()) })
	stock = sync.OnceValues(func() (string, error) { return gobuild.Stock(context.Background()) })
)

// A site is an application of the charm that is replaced, one unit on each machine, under Juju's agent.
type site struct {
	t        *testing.T
	ctx      context.Context
	app      *juju.Application
	config   map[string]string
	machines []*machine.Machine
	former   []*legacy.Registry
	charm    string
	standIn  string
}

// newSite deploys the stand-in of that charm. What its hooks would have done is still to do.
func newSite(t *testing.T, units int, config map[string]string) *site {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s := &site{t: t, ctx: ctx, config: config}
	network, err := machine.NewNetwork()
	s.must(err)
	t.Cleanup(func() { s.must(network.Close()) })
	for range units {
		m, err := machine.New(ctx, machine.Options{Network: network})
		s.must(err)
		t.Cleanup(func() { s.must(m.Close()) })
		s.machines = append(s.machines, m)
	}
	model, err := juju.NewModel(ctx, network)
	s.must(err)
	t.Cleanup(func() { s.must(model.Close()) })
	s.charm, err = charm()
	s.must(err)
	s.standIn = filepath.Join(t.TempDir(), "legacy.charm")
	s.must(legacy.Pack(s.standIn))
	s.app, err = model.Deploy(ctx, s.standIn, juju.Options{Config: config}, s.machines...)
	s.must(err)
	s.app.SetLeaderSettings(map[string]string{"http-secret": legacy.Secret})
	s.settle()
	for _, unit := range s.app.Units() {
		former, err := legacy.New(ctx, unit, config)
		s.must(err)
		s.former = append(s.former, former)
	}
	return s
}

// serve has every unit do what the hooks of that charm did.
func (s *site) serve() {
	s.t.Helper()
	program, err := stock()
	s.must(err)
	for _, former := range s.former {
		s.must(former.Serve(program))
	}
	s.settle()
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) settle() {
	s.t.Helper()
	s.must(s.app.WaitIdle(s.ctx))
}

// refresh refreshes to the charm under test, and with it changes options: agents that do not run learn of
// both at once.
func (s *site) refresh(config map[string]string) {
	s.t.Helper()
	if len(config) == 0 {
		s.after("config-changed", func() { s.must(s.app.Refresh(s.charm)) })
		return
	}
	for _, unit := range s.app.Units() {
		unit.StopAgent()
	}
	s.must(s.app.Refresh(s.charm))
	s.must(s.app.SetConfig(config))
	s.after("config-changed", func() {
		for _, unit := range s.app.Units() {
			s.must(unit.StartAgent(s.ctx))
		}
	})
}

// after does something and waits until every unit has run that hook because of it, and is idle: an agent
// on a busy machine seems to be idle before it acts.
func (s *site) after(hook string, do func(), units ...*juju.Unit) {
	s.t.Helper()
	if len(units) == 0 {
		units = s.app.Units()
	}
	before := map[*juju.Unit]int{}
	for _, unit := range units {
		before[unit] = len(unit.Hooks())
	}
	do()
	for _, unit := range units {
		ran := func(h *juju.Hook) bool { return h.Name == hook && h.Err == "" }
		for !slices.ContainsFunc(unit.Hooks()[before[unit]:], ran) {
			select {
			case <-s.ctx.Done():
				s.t.Fatalf("%s does not run hook %s: %v", unit.Name(), hook, unit.WaitIdle(s.ctx))
			case <-time.After(20 * time.Millisecond):
			}
		}
		s.must(unit.WaitIdle(s.ctx))
	}
}

// relate relates the application to another one that has a unit, which tells this.
func (s *site) relate(endpoint, other string, bag map[string]string) *juju.Relation {
	s.t.Helper()
	relation, err := s.app.Relate(endpoint, other)
	s.must(err)
	told := map[string]string{"ingress-address": "10.213.0.99", "private-address": "10.213.0.99"}
	maps.Copy(told, bag)
	s.must(relation.Set(other+"/0", told))
	s.settle()
	return relation
}

// on runs a shell script on the machine of a unit and returns what it prints.
func (s *site) on(unit int, script string) string {
	s.t.Helper()
	out, err := s.machines[unit].Command(s.ctx, "sh", "-c", script).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *site) read(unit int, path string) string {
	s.t.Helper()
	content, err := s.machines[unit].ReadFile(path)
	s.must(err)
	return string(content)
}

func (s *site) same(what string, got, want any) {
	s.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (s *site) wantStatus(unit int, want string) {
	s.t.Helper()
	if got := s.app.Units()[unit].Status().String(); got != want {
		s.t.Errorf("status:\n got %s\nwant %s", got, want)
	}
}

// noFailure wants every hook to have succeeded.
func (s *site) noFailure() {
	s.t.Helper()
	for _, unit := range s.app.Units() {
		for _, hook := range unit.Hooks() {
			if hook.Err != "" {
				s.t.Errorf("%s\n%v", hook, hook.Log)
			}
		}
	}
}

// quiet has another hook run, which must find nothing to do.
func (s *site) quiet(unit int) {
	s.t.Helper()
	u := s.app.Units()[unit]
	containers := s.on(unit, "docker ps -aq --no-trunc")
	s.after("update-status", u.UpdateStatus, u)
	hooks := u.Hooks()
	for _, line := range hooks[len(hooks)-1].Log {
		s.t.Errorf("a hook that has nothing to do says: %s", line.Message)
	}
	s.same("containers", s.on(unit, "docker ps -aq --no-trunc"), containers)
}

// container wants the unit's container to be the only one.
func (s *site) container(unit int, name string) {
	s.t.Helper()
	s.same("containers", s.on(unit, `docker ps -a --format '{{.Names}} {{.Label "docker-registry.unit"}} {{.State}}'`),
		fmt.Sprintf("%s docker-registry/%d running", name, unit))
}

// gone wants nothing to be at these paths of a machine; names may have wildcards.
func (s *site) gone(unit int, paths ...string) {
	s.t.Helper()
	if left := s.on(unit, "ls -d "+strings.Join(paths, " ")+" 2>/dev/null || true"); left != "" {
		s.t.Errorf("this is still there: %s", left)
	}
}

// buried wants nothing to be left of the former charm while this one serves.
func (s *site) buried(unit int) {
	s.t.Helper()
	agent := filepath.Dir(s.app.Units()[unit].CharmDir())
	s.gone(unit, agent+"/.venv", agent+"/charm/.unit-state.db*", agent+"/charm/.juju-persistent-config", agent+"/charm/wheelhouse",
		agent+"/charm/lib", "/usr/local/sbin/charm-env", "/usr/local/sbin/charms.reactive", "/usr/local/sbin/chlp",
		"/etc/default/docker", "/etc/docker/certs.d/*/client.*", "/usr/local/share/ca-certificates/juju-*",
		"/etc/ssl/certs/juju-*", "/etc/docker/registry/*.crt", "/etc/docker/registry/*.key", "/etc/docker/registry/*.orig*",
		"/etc/nagios/nrpe.d/check_check_http.cfg", "/etc/nagios/nrpe.d/check_docker.cfg",
		"/var/lib/nagios/export/service__*_check_http.cfg", "/var/lib/nagios/export/service__*_check_docker.cfg")
	s.same("holds", s.on(unit, "apt-mark showhold docker.io"), "")
}

// removed removes a unit and wants nothing of either charm to be left but the images.
func (s *site) removed(unit int) {
	s.t.Helper()
	u := s.app.Units()[unit]
	images := s.on(unit, "find /srv/registry -type f | wc -l")
	s.buried(unit)
	before := len(u.Hooks())
	u.Remove()
	s.must(u.WaitGone(s.ctx))
	for _, hook := range u.Hooks()[before:] {
		if hook.Err != "" {
			s.t.Errorf("%s\n%v", hook, hook.Log)
		}
	}
	s.gone(unit, "/etc/docker/registry", "/etc/docker/certs.d", "/etc/docker/daemon.json", "/var/lib/docker-registry",
		"/etc/nagios/nrpe.d/check_docker_registry*", "/var/lib/nagios/export/service__*docker_registry*")
	s.same("containers", s.on(unit, "docker ps -aq"), "")
	s.same("volumes", s.on(unit, "docker volume ls -q"), "")
	s.same("images of the engine", s.on(unit, "docker images --format '{{.Repository}}:{{.Tag}}'"), "registry:2")
	s.same("files of images", s.on(unit, "find /srv/registry -type f | wc -l"), images)
}

// publish are the images that the registry of a unit has before the refresh.
func (s *site) publish(c *client, n int) []image {
	s.t.Helper()
	all := images(n)
	for _, i := range all {
		s.must(c.push(s.ctx, i))
	}
	s.pull(c, all)
	return all
}

// pull pulls every image.
func (s *site) pull(c *client, all []image) {
	s.t.Helper()
	for _, i := range all {
		if err := c.pull(s.ctx, i); err != nil {
			s.t.Fatalf("cannot pull %s: %v", i.repository, err)
		}
	}
}
