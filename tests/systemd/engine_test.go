package systemd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"docker-registry-operator/tests/systemd/debian"
)

// restartNote is what the status says while the engine has yet to learn of a change.
const restartNote = "docker daemon options take effect when Docker is restarted"

// ownFiles are the files that an operator or a charm may have put where APT, systemd and Docker look.
// What a package has brought stays with it, and so does the engine's own key.
const ownFiles = "find /etc/apt /etc/systemd /etc/docker -not -type d -not -path '*.wants/*' -not -name key.json 2>/dev/null | sort"

// An empty machine gets its engine from the operator's own source, with all that he wants of it from
// its first start on; it survives what machines survive, and is as before once the unit has gone.
func TestEngine(t *testing.T) {
	w := newWorld(t)
	extra := filepath.Join(w.archives, "extra")
	check(t, os.Mkdir(extra, 0o755))
	check(t, debian.Package(w.ctx, extra, "registry-extra", "1.0"))
	check(t, debian.Index(w.ctx, extra))
	before := w.sh(ownFiles)
	w.deploy(map[string]string{
		"install_sources": "- " + source("engine") + "\n- " + source("extra"),
		"extra_packages":  "registry-extra",
		"package_status":  "hold",
		"docker-opts":     "--label rack=b12",
		"daemon-opts":     `{"log-driver": "local", "debug": true}`,
		"http_proxy":      "http://juju:hunter2@proxy.invalid:3128",
		"no_proxy":        "127.0.0.1,10.0.0.0/8",
	})
	w.idle("active: Ready at ")
	w.noFailedHook()
	w.answers(5000)

	w.same("systemctl is-active docker.service; systemctl is-enabled docker.service", "active\nenabled")
	w.same("docker info --format '{{.Labels}} {{.LoggingDriver}} {{.Debug}} {{.NoProxy}}'", "[rack=b12] local true 127.0.0.1,10.0.0.0/8")
	w.same("docker info --format '{{.HTTPProxy}}' | sed s/:.*@/@/", "http@proxy.invalid:3128")
	w.same("dpkg-query --show --showformat '${db:Status-Status} ${Version}' registry-extra", "installed 1.0")
	w.same("apt-mark showhold", debian.Engine)
	if shown := w.sh("systemctl show docker.service; systemctl cat docker.service; cat /proc/$(pidof dockerd)/cmdline"); strings.Contains(shown, "hunter2") {
		t.Error("everybody may see the password of the proxy")
	}

	// Whoever restarts the engine gets his registry back without any hook.
	w.sh("systemctl restart docker.service")
	w.comesBack(5000)

	// The charm itself never restarts it.
	engine := w.sh("pidof dockerd")
	w.config("active: Ready at ", map[string]string{"docker-opts": "--label rack=b13", "http_proxy": ""})
	if status := w.unit.Status().Message; !strings.Contains(status, restartNote) {
		t.Errorf("status %q does not say that the engine has to be restarted", status)
	}
	w.same("pidof dockerd", engine)
	w.sh("systemctl restart docker.service")
	w.updateStatus("active: Ready at ")
	if status := w.unit.Status().Message; strings.Contains(status, restartNote) {
		t.Errorf("after the restart the status is still %q", status)
	}
	w.same("docker info --format '{{.Labels}} {{.HTTPProxy}}'", "[rack=b13]")

	// An operator who switches the machine off and on needs no hook, one whose power fails at most one.
	w.restart(5000)
	check(t, w.unit.Reboot(w.ctx))
	w.idle("active: Ready at ")
	w.answers(5000)

	w.config("active: Ready at ", map[string]string{"package_status": "install"})
	w.same("apt-mark showhold", "")
	w.config("active: Ready at ", map[string]string{"package_status": "hold"})

	w.unit.Remove()
	check(t, w.unit.WaitGone(w.ctx))
	w.silent(5000)
	w.same("apt-mark showhold", "")
	w.same("docker ps --all --quiet", "")
	w.same("systemctl is-active docker.service", "active")
	w.same(ownFiles, before)
}
