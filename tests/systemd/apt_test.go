package systemd

import (
	"strings"
	"testing"

	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/systemd/debian"
)

// A source of packages that is down fails the hook with a text that says what is missing. Juju tries
// again until it is back.
func TestArchiveDown(t *testing.T) {
	w := newWorld(t)
	w.sources("engine")
	w.closed.Store(true)
	w.deploy(nil)
	want := juju.Status{Status: "error", Message: `hook failed: "install"`}
	check(t, w.unit.Wait(w.ctx, func(_, agent juju.Status) bool { return agent == want }))
	log := w.errors()
	if !strings.Contains(log, `cannot install package "`+debian.Engine+`"`) || !strings.Contains(log, "404") {
		t.Errorf("the log does not tell that %s is missing, and why:\n%s", debian.Engine, log)
	}
	w.closed.Store(false)
	w.idle("active: Ready at ")
	w.answers(5000)
}

// A package that no source has is the operator's mistake: no hook fails, and what runs goes on running.
func TestUnknownPackage(t *testing.T) {
	w := newWorld(t)
	w.deploy(map[string]string{"registry-runtime": "native", "install_sources": source("engine")})
	w.idle("active: Ready at ")
	w.config(`blocked: Invalid charm config: option "extra_packages": must name what the machine's APT sources have`,
		map[string]string{"extra_packages": "no-such-package"})
	w.answers(5000)
	w.config("active: Ready at ", map[string]string{"extra_packages": "netbase"})
	w.noFailedHook()
	w.same("dpkg-query --show --showformat '${db:Status-Status}' netbase", "installed")
}

// errors are what the unit has complained of.
func (w *world) errors() string {
	var text strings.Builder
	for _, line := range w.unit.Log() {
		if line.Level == "ERROR" || line.Level == "WARNING" {
			text.WriteString(line.Message + "\n")
		}
	}
	return text.String()
}
