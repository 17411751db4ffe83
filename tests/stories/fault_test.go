package stories

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"docker-registry-operator/tests/juju"
)

// TestPortsInUse holds that a port which another program has blocks the unit by the option's name, that the
// registry serves on where it was, and that another port or the program's end mends it.
func TestPortsInUse(t *testing.T) {
	p := deployed(t, nil)
	ready, serving, hooks, w := p.unit.Status().String(), p.container(), len(p.unit.Hooks()), p.watch(5000)
	for _, address := range []string{"127.0.0.1:5050", "0.0.0.0:5050", "[::]:5050"} {
		listener, err := p.machine.Listen(p.ctx, "tcp", address)
		p.must(err)
		for _, option := range []string{"registry-port", "debug-port"} {
			p.set(options{option: "5050"})
			p.settle()
			p.wantStatus(fmt.Sprintf(
				"blocked: Invalid charm config: option %q: port 5050 is in use by another program; choose another one", option))
			p.must(p.app.ResetConfig(option))
			p.settle()
			p.wantStatus(ready)
		}
		p.must(listener.Close())
	}
	p.wantConstant(w)
	p.noFailure(hooks)
	if now := p.container(); now.ID != serving.ID || now.State != serving.State {
		t.Errorf("container\n got %+v\nwant %+v", now, serving)
	}
}

// TestNoWayToAnEngine holds that a machine without an engine, and without a way to get one, says what it
// could not install, and that the unit goes on once somebody has brought an engine.
func TestNoWayToAnEngine(t *testing.T) {
	p := newPlace(t)
	p.must(p.machine.StopEngine(p.ctx))
	engine := p.on(`command -v dockerd`)
	// No package is known, neither as one that is installed nor as one that an archive has.
	p.on(`mv ` + engine + ` /opt/dockerd
		awk -v RS= -v ORS='\n\n' '!/^Package: docker.io\n/' /var/lib/dpkg/status >/opt/status && cp /opt/status /var/lib/dpkg/status
		rm -rf /etc/apt/sources.list /etc/apt/sources.list.d /var/lib/apt/lists`)
	p.deploy(nil)
	p.must(p.unit.Wait(p.ctx, func(_, agent juju.Status) bool { return agent.Status == "error" }))
	failed := p.unit.Hooks()[0]
	if !slices.ContainsFunc(failed.Log, func(line juju.LogLine) bool {
		return strings.Contains(line.Message, `cannot install package "docker.io": `)
	}) {
		t.Errorf("%s: %v", failed, failed.Log)
	}
	p.on(`mv /opt/dockerd ` + engine)
	p.must(p.machine.StartEngine(p.ctx))
	p.settle()
	p.wantStatus("active: Ready at " + p.machine.Address() + ":5000 (http).")
}
