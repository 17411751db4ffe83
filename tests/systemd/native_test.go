package systemd

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// unit finds the registry's service.
const unit = "systemctl list-units --all --plain --no-legend 'docker-registry-*' | cut -d' ' -f1"

// mainPID is the process of the registry's service.
const mainPID = "systemctl show --property MainPID --value $(" + unit + ")"

// Without Docker the registry is a service of the machine, as hardened as systemd can make it.
func TestNative(t *testing.T) {
	w := newWorld(t)
	// Images of a registry that ran as root.
	const image = "/srv/registry/docker/registry/v2/repositories/old/_layers/link"
	check(t, w.machine.WriteFile(image, nil, 0o600))
	w.deploy(map[string]string{"registry-runtime": "native", "registry-port": "443"})
	w.idle("active: Ready at " + w.machine.Address() + ":443 (http).")
	w.noFailedHook()
	w.answers(443)
	w.same("systemctl is-active $("+unit+"); systemctl is-enabled $("+unit+")", "active\nenabled")
	w.same("stat --format %u:%g "+image, "65532:65532")
	// It needs some capabilities to become its user, and keeps one, to listen below port 1024.
	w.same("sed -nE 's/^(Uid|Gid|CapEff|CapBnd|NoNewPrivs|Seccomp):\\s*(\\w+).*/\\1 \\2/p' /proc/$("+mainPID+")/status",
		"Uid 65532\nGid 65532\nCapEff 0000000000000400\nCapBnd 00000000000004c0\nNoNewPrivs 1\nSeccomp 2")
	w.same("command -v dockerd || echo none", "none")
	t.Log(w.sh("systemd-analyze security --no-pager $(" + unit + ") | tail -1"))

	// A registry that dies is started again by systemd.
	killed := w.sh(mainPID)
	w.sh("kill -KILL " + killed)
	w.comesBack(443)
	if now := w.sh(mainPID); now == killed {
		t.Errorf("process %s was not killed", now)
	}
	w.updateStatus("active: Ready at ")

	// What can be reloaded leaves the process alone, and nobody notices a successor.
	stop := w.load(443)
	process := w.sh(mainPID)
	w.config("active: Ready at ", map[string]string{"log-level": "debug", "storage-delete": "true"})
	w.same(mainPID, process)
	w.config("active: Ready at ", map[string]string{"registry-http-proxy": "http://juju:hunter2@proxy.invalid:3128"})
	successor := w.sh(mainPID)
	if successor == process {
		t.Errorf("process %s runs on with other proxies", process)
	}
	w.same("ls /proc/"+process+" 2>/dev/null || echo ended", "ended")
	stop()
	if shown := w.sh("systemctl cat $(" + unit + "); systemctl show $(" + unit + "); cat /proc/" + successor + "/cmdline"); strings.Contains(shown, "hunter2") {
		t.Error("everybody may see the password of the proxy")
	}

	w.act("stop")
	w.silent(443)
	w.updateStatus("")
	w.silent(443)
	w.act("start")
	w.answers(443)

	w.restart(443)
	check(t, w.unit.Reboot(w.ctx))
	w.idle("active: Ready at ")
	w.answers(443)

	w.unit.Remove()
	check(t, w.unit.WaitGone(w.ctx))
	w.silent(443)
	w.same("find /etc/systemd /run/systemd -name '*docker-registry*'", "")
	w.same(unit, "")
	w.same("systemctl is-system-running", "running")
	w.same("pgrep -x registry || echo none", "none")
}

// act runs an action, which has to succeed.
func (w *world) act(name string) {
	w.Helper()
	action, err := w.unit.RunAction(w.ctx, name, nil)
	check(w.T, err)
	if action.Status != "completed" {
		w.Fatalf("action %s %s: %s", name, action.Status, action.Message)
	}
	check(w.T, w.app.WaitIdle(w.ctx))
}

// load asks the registry over and over on new connections, until the function that it returns is called
// and tells of the questions that had no answer.
func (w *world) load(port int) (stop func()) {
	end, ended := make(chan struct{}), make(chan error, 1)
	var asked, failed int
	go func() {
		var last error
		defer func() { ended <- last }()
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
			}
			asked++
			if err := w.get(port); err != nil {
				failed, last = failed+1, err
			}
		}
	}()
	return func() {
		w.Helper()
		close(end)
		if err := <-ended; err != nil {
			w.Errorf("%d of %d requests failed, the last one: %v", failed, asked, err)
		}
		w.Log(fmt.Sprint(asked, " requests"))
	}
}
