package juju_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"docker-registry-operator/tests/charmzip"
	"docker-registry-operator/tests/juju"
)

func TestFailedHookIsRetried(t *testing.T) {
	w := newWorld(t, 1)
	app := w.deploy(juju.Options{})
	u := app.Units()[0]
	before := len(u.Hooks())
	check(t, app.SetConfig(map[string]string{"fail": "config-changed", "text": "x"}))
	check(t, u.Wait(w.ctx, func(_, agent juju.Status) bool { return agent.Status == "error" }))
	same(t, "agent", u.AgentStatus(), juju.Status{Status: "error", Message: `hook failed: "config-changed"`})
	same(t, "ports after a failure", u.OpenedPorts(), []string{"5000/tcp", "6000-6010/udp"})
	check(t, app.WaitIdle(w.ctx))
	same(t, "hooks", names(u, before), []string{"config-changed", "config-changed"})
	same(t, "ports after the retry", u.OpenedPorts(), []string{"5000/tcp"})
	same(t, "error", u.Hooks()[before].Err, "exit status 1")
	same(t, "standard error", u.Hooks()[before].Log, []juju.LogLine{
		{Level: "WARNING", Module: "config-changed", Message: "as asked"},
	})
}

func TestKilledHookIsRetried(t *testing.T) {
	w := newWorld(t, 1)
	app := w.deploy(juju.Options{})
	u := app.Units()[0]
	before := len(u.Hooks())
	check(t, app.SetConfig(map[string]string{"wait": "config-changed"}))
	check(t, u.WaitHook(w.ctx, "config-changed"))
	for !running(t, u, "sleep 3210") {
		time.Sleep(10 * time.Millisecond)
	}
	hook, killed, err := u.KillHook(w.ctx, 0)
	check(t, err)
	if !killed || hook.Name != "config-changed" {
		t.Errorf("killed %v: %s", killed, hook)
	}
	check(t, app.WaitIdle(w.ctx))
	same(t, "hooks", names(u, before), []string{"config-changed", "config-changed"})
	if running(t, u, "sleep 3210") {
		t.Error("what the killed hook had started is still there")
	}
}

func running(t *testing.T, u *juju.Unit, args string) bool {
	t.Helper()
	processes, err := u.Machine().Processes(t.Context())
	check(t, err)
	return slices.Contains(processes, args)
}

func TestAgentAndMachineRestart(t *testing.T) {
	w := newWorld(t, 1)
	app := w.deploy(juju.Options{})
	u := app.Units()[0]

	before := len(u.Hooks())
	u.StopAgent()
	check(t, app.SetConfig(map[string]string{"text": "while away"}))
	check(t, u.StartAgent(w.ctx))
	check(t, app.WaitIdle(w.ctx))
	same(t, "hooks after a stop", names(u, before), []string{"config-changed"})

	before = len(u.Hooks())
	check(t, app.SetConfig(map[string]string{"wait": "config-changed"}))
	check(t, u.WaitHook(w.ctx, "config-changed"))
	for !running(t, u, "sleep 3210") {
		time.Sleep(10 * time.Millisecond)
	}
	u.KillAgent()
	if running(t, u, "sleep 3210") {
		t.Error("the hook outlived its agent")
	}
	check(t, u.StartAgent(w.ctx))
	check(t, app.WaitIdle(w.ctx))
	same(t, "hooks after a kill", names(u, before), []string{"config-changed", "config-changed"})

	before = len(u.Hooks())
	check(t, u.Reboot(w.ctx))
	check(t, app.WaitIdle(w.ctx))
	same(t, "hooks after a reboot", names(u, before), []string{"start"})

	before = len(u.Hooks())
	check(t, app.SetConfig(map[string]string{"reboot": "config-changed"}))
	check(t, u.WaitHook(w.ctx, "start"))
	check(t, app.WaitIdle(w.ctx))
	same(t, "hooks when one reboots", names(u, before), []string{"config-changed", "start"})

	before = len(u.Hooks())
	u.UpdateStatus()
	check(t, app.WaitIdle(w.ctx))
	same(t, "hooks when update-status is due", names(u, before), []string{"update-status"})
}

func TestRefreshAndRemoval(t *testing.T) {
	w := newWorld(t, 1)
	app := w.deploy(juju.Options{Config: map[string]string{"text": "kept", "number": "7"}})
	u := app.Units()[0]
	check(t, u.Machine().WriteFile(u.CharmDir()+"/left-by-a-hook", nil, 0o644))

	dir := t.TempDir()
	check(t, os.CopyFS(dir, os.DirFS("testdata/tiny")))
	config := "options:\n  text: {type: string, default: \"\", description: a}\n  fail: {type: string, default: \"\", description: a}\n" +
		"  wait: {type: string, default: \"\", description: a}\n  reboot: {type: string, default: \"\", description: a}\n  number: {type: string, default: few, description: a}\n"
	check(t, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o644))
	next := filepath.Join(t.TempDir(), "next.charm")
	check(t, charmzip.Pack(next, dir))

	before := len(u.Hooks())
	check(t, app.Refresh(next))
	check(t, app.WaitIdle(w.ctx))
	same(t, "hooks", names(u, before), []string{"upgrade-charm", "config-changed"})
	same(t, "config", w.read(u, "/var/lib/tiny-config"), `{"fail":"","number":"few","reboot":"","text":"kept","wait":""}`)
	if _, err := u.Machine().ReadFile(u.CharmDir() + "/left-by-a-hook"); err != nil {
		t.Errorf("refresh took away what a hook had left: %v", err)
	}

	before = len(u.Hooks())
	u.Remove()
	check(t, u.WaitGone(w.ctx))
	same(t, "hooks", names(u, before), []string{"stop", "remove"})
	if _, err := os.Stat(u.Machine().Path(u.CharmDir())); !os.IsNotExist(err) {
		t.Errorf("the charm of a removed unit: %v", err)
	}
	if left := app.Units(); len(left) != 0 {
		t.Errorf("units of the application: %v", left)
	}
}
