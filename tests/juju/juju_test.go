package juju_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/charmzip"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
)

// patience bounds each test. An idle machine needs a few seconds.
const patience = 3 * time.Minute

// A world is a model with some machines.
type world struct {
	t        *testing.T
	ctx      context.Context
	model    *juju.Model
	machines []*machine.Machine
}

func newWorld(t *testing.T, machines int) *world {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	network, err := machine.NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, network.Close()) })
	w := &world{t: t, ctx: ctx}
	for range machines {
		m, err := machine.New(ctx, machine.Options{Network: network})
		check(t, err)
		t.Cleanup(func() { check(t, m.Close()) })
		w.machines = append(w.machines, m)
	}
	w.model, err = juju.NewModel(ctx, network)
	check(t, err)
	t.Cleanup(func() { check(t, w.model.Close()) })
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pack(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.charm")
	check(t, charmzip.Pack(path, "testdata/tiny"))
	return path
}

func (w *world) deploy(options juju.Options) *juju.Application {
	w.t.Helper()
	app, err := w.model.Deploy(w.ctx, pack(w.t), options, w.machines...)
	check(w.t, err)
	check(w.t, app.WaitIdle(w.ctx))
	return app
}

// names lists the hooks of a unit that ended after the first n.
func names(u *juju.Unit, n int) []string {
	var names []string
	for _, hook := range u.Hooks()[n:] {
		names = append(names, hook.Name)
	}
	return names
}

func (w *world) read(u *juju.Unit, path string) string {
	w.t.Helper()
	data, err := u.Machine().ReadFile(path)
	check(w.t, err)
	return strings.TrimSpace(string(data))
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestNewUnit(t *testing.T) {
	w := newWorld(t, 1)
	check(t, w.machines[0].WriteFile("/srv/data/file", nil, 0o644))
	app := w.deploy(juju.Options{Storage: map[string]string{"data": "/srv/data"}})
	u := app.Units()[0]
	same(t, "hooks", names(u, 0), []string{
		"data-storage-attached", "install", "peer-relation-created", "leader-elected", "config-changed", "start",
	})
	same(t, "status", u.Status(), juju.Status{Status: "active", Message: "start"})
	same(t, "ports", u.OpenedPorts(), []string{"5000/tcp", "6000-6010/udp"})
	same(t, "workload version", u.WorkloadVersion(), "1.2.3")
	same(t, "storage", w.read(u, "/var/lib/tiny-storage"), "/srv/data")
	same(t, "ingress address", w.read(u, "/var/lib/tiny-address"), u.Machine().Address())
	same(t, "config", w.read(u, "/var/lib/tiny-config"),
		`{"fail":"","flag":false,"number":12345678,"reboot":"","text":"","wait":""}`)

	install := u.Hooks()[1]
	same(t, "tools of install", install.Tools, []string{
		"open-port", "open-port", "application-version-set", "juju-log", "config-get", "config-get", "config-get", "status-set",
	})
	same(t, "log of install", install.Log, []juju.LogLine{
		{Level: "WARNING", Module: "juju-log", Message: "installed"},
	})
	if install.Duration <= 0 {
		t.Errorf("install took %s", install.Duration)
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(t, 1)
	app := w.deploy(juju.Options{Config: map[string]string{"number": "7"}})
	u := app.Units()[0]
	before := len(u.Hooks())

	check(t, app.SetConfig(map[string]string{"text": "12", "flag": "true"}))
	check(t, app.WaitIdle(w.ctx))
	same(t, "hooks", names(u, before), []string{"config-changed"})
	same(t, "config", w.read(u, "/var/lib/tiny-config"), `{"fail":"","flag":true,"number":7,"reboot":"","text":"12","wait":""}`)
	same(t, "ports", u.OpenedPorts(), []string{"5000/tcp"})
	same(t, "leader settings", app.LeaderSettings(), map[string]string{"text": "12"})

	check(t, app.ResetConfig("number"))
	check(t, app.WaitIdle(w.ctx))
	same(t, "config", w.read(u, "/var/lib/tiny-config"), `{"fail":"","flag":true,"number":12345678,"reboot":"","text":"12","wait":""}`)

	for _, bad := range []map[string]string{{"number": "many"}, {"no-such-option": "1"}} {
		if err := app.SetConfig(bad); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func TestEnvironmentOfAHook(t *testing.T) {
	w := newWorld(t, 1)
	w.model.SetConfig(map[string]any{"juju-http-proxy": "http://proxy.example:3128", "juju-no-proxy": "127.0.0.1"})
	u := w.deploy(juju.Options{}).Units()[0]
	env := map[string]string{}
	for line := range strings.Lines(w.read(u, "/var/lib/tiny-env")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	for name, want := range map[string]string{
		"JUJU_UNIT_NAME":        "tiny/0",
		"JUJU_DISPATCH_PATH":    "hooks/start",
		"JUJU_CHARM_DIR":        "/var/lib/juju/agents/unit-tiny-0/charm",
		"JUJU_CHARM_HTTP_PROXY": "http://proxy.example:3128",
		"JUJU_CHARM_NO_PROXY":   "127.0.0.1",
		"JUJU_VERSION":          "3.6.4",
		"PWD":                   "/var/lib/juju/agents/unit-tiny-0/charm",
	} {
		same(t, name, env[name], want)
	}
	if home, ok := env["HOME"]; ok {
		t.Errorf("HOME is set: %s", home)
	}
	if !strings.HasPrefix(env["PATH"], "/var/lib/juju/tools/unit-tiny-0:") {
		t.Errorf("PATH: %s", env["PATH"])
	}
}

func TestActions(t *testing.T) {
	w := newWorld(t, 1)
	u := w.deploy(juju.Options{}).Units()[0]

	done, err := u.RunAction(w.ctx, "greet", map[string]any{"name": "unit"})
	check(t, err)
	same(t, "status", done.Status, "completed")
	same(t, "results", done.Results, map[string]any{"greeting": "hello unit", "return-code": float64(0)})
	same(t, "log", done.Log, []string{"greeting"})

	failed, err := u.RunAction(w.ctx, "greet", map[string]any{"fail": true})
	check(t, err)
	same(t, "status", failed.Status, "failed")
	same(t, "message", failed.Message, "no greeting")

	run, err := u.Run(w.ctx, "config-get number")
	check(t, err)
	same(t, "juju exec", run.Results["stdout"], any("1.2345678e+07\n"))

	if _, err := u.RunAction(w.ctx, "nosuch", nil); err == nil {
		t.Error("an action that the charm does not have ran")
	}
	if _, err := u.RunAction(w.ctx, "greet", map[string]any{"name": 7}); err == nil {
		t.Error("a parameter of the wrong type was accepted")
	}
	last := u.Hooks()[len(u.Hooks())-1]
	if last.Action == false && last.Name != "juju-exec" {
		t.Errorf("last hook: %s", last)
	}
}
