package systemd

import (
	"strings"
	"testing"

	"docker-registry-operator/tests/systemd/debian"
)

// Where systemd is not in charge, as in many containers, the charm brings the engine by APT and starts
// it by itself.
func TestEngineWithoutSystemd(t *testing.T) {
	w := makeWorld(t, false)
	// The machine is a copy of the host, which has an engine.
	w.sh(`dpkg --remove --force-depends $(dpkg-query --show --showformat '${Package} ${db:Status-Status}\n' \
		docker.io docker-cli containerd runc 2>/dev/null | sed -n 's/ installed$//p')`)
	w.same("command -v dockerd || echo none", "none")
	w.sources("engine")
	w.deploy(nil)
	w.idle("active: Ready at ")
	w.noFailedHook()
	w.answers(5000)
	w.same("dpkg-query --show --showformat '${db:Status-Status}' "+debian.Engine, "installed")
	w.same("docker info --format '{{.LoggingDriver}}'; grep -c max-size /etc/docker/daemon.json", "json-file\n1")

	// Nobody else would start it again.
	w.sh("pkill -KILL -x 'dockerd|containerd'")
	w.updateStatus("active: Ready at ")
	w.answers(5000)

	check(t, w.unit.Reboot(w.ctx))
	w.idle("active: Ready at ")
	w.answers(5000)

	w.unit.Remove()
	check(t, w.unit.WaitGone(w.ctx))
	w.silent(5000)
	if left := w.sh("docker ps --all --quiet; ls /etc/docker/daemon.json 2>/dev/null || true"); strings.TrimSpace(left) != "" {
		t.Errorf("left behind: %s", left)
	}
}
