package systemd

import (
	"path/filepath"
	"strings"
	"testing"

	"docker-registry-operator/tests/gobuild"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/legacy"
	"docker-registry-operator/tests/systemd/debian"
)

// The charm that this one replaces has the engine started with arguments and a proxy of its options. A
// refresh leaves the engine alone, and its next starts go as well as before.
func TestRefresh(t *testing.T) {
	w := newWorld(t)
	w.sources("engine")
	w.sh("apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends " + debian.Engine)
	// The former charm's service names the program as Ubuntu has it.
	w.sh("test -e /usr/bin/dockerd || ln -s ../sbin/dockerd /usr/bin/dockerd")
	options := map[string]string{
		// Two of the same address would keep the engine from starting.
		"docker-opts": "--host=tcp://127.0.0.1:2375 --label=rack=b12",
		"http_proxy":  "http://proxy.invalid:3128",
	}
	standIn := filepath.Join(t.TempDir(), "legacy.charm")
	check(t, legacy.Pack(standIn))
	app, err := w.model.Deploy(w.ctx, standIn, juju.Options{Config: options}, w.machine)
	check(t, err)
	w.app, w.unit = app, app.Units()[0]
	check(t, app.WaitIdle(w.ctx))
	former, err := legacy.New(w.ctx, w.unit, options)
	check(t, err)
	program, err := gobuild.Stock(w.ctx)
	check(t, err)
	check(t, former.Serve(program))
	const settings = "docker info --format '{{.Labels}} {{.HTTPProxy}}'; ss -Hltn sport = :2375 | wc -l"
	before, engine := w.sh(settings), w.sh("pidof dockerd")
	w.same("apt-mark showhold", debian.Engine)

	charm, err := gobuild.Charm(w.ctx)
	check(t, err)
	check(t, app.Refresh(charm))
	check(t, w.unit.WaitHook(w.ctx, "config-changed"))
	w.idle("active: Ready at ")
	w.noFailedHook()
	w.answers(5000)
	if status := w.unit.Status().Message; strings.Contains(status, restartNote) {
		t.Errorf("the engine runs with all its options already, but the status is %q", status)
	}
	w.same("pidof dockerd", engine)
	w.same("apt-mark showhold", "")
	w.same("test ! -e /etc/default/docker && ! grep _PROXY /lib/systemd/system/docker.service && echo clean", "clean")
	w.sh("systemctl restart docker.service")
	w.comesBack(5000)
	w.same(settings, before)

	w.config("active: Ready at ", map[string]string{"docker-opts": "", "http_proxy": ""})
	w.sh("systemctl restart docker.service")
	w.comesBack(5000)
	w.same(settings, "[] \n0")

	w.unit.Remove()
	check(t, w.unit.WaitGone(w.ctx))
	w.silent(5000)
	w.same("ls /etc/systemd/system/docker.service.d /etc/docker/daemon.json 2>/dev/null || true", "")
	w.sh("systemctl restart docker.service")
}
