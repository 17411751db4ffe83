package clients_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"docker-registry-operator/tests/clients"
	"docker-registry-operator/tests/gobuild"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
)

const (
	// patience bounds each test. Two idle cores need half a minute.
	patience = 5 * time.Minute

	endpoint = "docker-registry"
)

// charm packs the charm once for all tests.
var charm = sync.OnceValues(func() (string, error) { return gobuild.Charm(context.Background()) })

// site is a deployed registry, on a network with other machines.
type site struct {
	ctx      context.Context
	network  *machine.Network
	app      *juju.Application
	relation *juju.Relation
}

// newNetwork is where the machines of a test are, and what bounds it.
func newNetwork(t *testing.T) (context.Context, *machine.Network) {
	t.Helper()
	needRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	network, err := machine.NewNetwork()
	check(t, err)
	t.Cleanup(func() { check(t, network.Close()) })
	return ctx, network
}

func newSite(t *testing.T, config map[string]string) *site {
	t.Helper()
	ctx, network := newNetwork(t)
	s := &site{ctx: ctx, network: network}
	first := s.machine(t, "registry-0", true)
	model, err := juju.NewModel(ctx, network)
	check(t, err)
	t.Cleanup(func() { check(t, model.Close()) })
	packed, err := charm()
	check(t, err)
	s.app, err = model.Deploy(ctx, packed, juju.Options{Config: config}, first)
	check(t, err)
	check(t, s.app.WaitIdle(ctx))
	return s
}

// need skips a test where a program that it is about is not installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
}

func (s *site) machine(t *testing.T, name string, engine bool) *machine.Machine {
	t.Helper()
	m, err := machine.New(s.ctx, machine.Options{Name: name, Engine: engine, Network: s.network})
	check(t, err)
	t.Cleanup(func() { check(t, m.Close()) })
	return m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// relate has an application with one unit join the registry.
func (s *site) relate(t *testing.T, application string, says map[string]string) *juju.Relation {
	t.Helper()
	relation, err := s.app.Relate(endpoint, application)
	check(t, err)
	check(t, relation.Set(application+"/0", says))
	check(t, s.app.WaitIdle(s.ctx))
	return relation
}

// bags are what the registry's units tell over the relation.
func (s *site) bags() map[string]map[string]string {
	bags := make(map[string]map[string]string)
	for _, unit := range s.app.Units() {
		bags[unit.Name()] = told(s.relation, unit.Name())
	}
	return bags
}

// told is what a unit tells beside its addresses, which Juju writes.
func told(relation *juju.Relation, unit string) map[string]string {
	bag := relation.Get(unit)
	for _, key := range []string{"ingress-address", "private-address", "egress-subnets"} {
		delete(bag, key)
	}
	return bag
}

func (s *site) registry(t *testing.T) clients.Registry {
	t.Helper()
	registry, err := clients.ReadRegistry(s.bags())
	check(t, err)
	return registry
}

// configure sets options and waits for what follows.
func (s *site) configure(t *testing.T, values map[string]string) {
	t.Helper()
	check(t, s.app.SetConfig(values))
	check(t, s.app.WaitIdle(s.ctx))
}

func (s *site) status() string { return s.app.Units()[0].Status().String() }

func (s *site) wantStatus(t *testing.T, want string) {
	t.Helper()
	if got := s.status(); got != want {
		t.Errorf("status is %q, want %q", got, want)
	}
}

// push makes an image of the content and takes it in.
func (s *site) push(t *testing.T, image, content string) {
	t.Helper()
	unit := s.app.Units()[0]
	importImage(s.ctx, t, unit.Machine(), image, content)
	action, err := unit.RunAction(s.ctx, "push", map[string]any{"image": image, "pull": false})
	check(t, err)
	if action.Status != "completed" {
		t.Fatalf("cannot push %s: %s", image, action.Message)
	}
}

// importImage makes an image in the engine of a machine.
func importImage(ctx context.Context, t *testing.T, m *machine.Machine, image, content string) {
	t.Helper()
	const script = `set -e; d=$(mktemp -d); echo "$2" >$d/content; tar -C $d -c . | docker import - "$1"; rm -r $d`
	if out, err := m.Command(ctx, "sh", "-c", script, "sh", image, content).CombinedOutput(); err != nil {
		t.Fatalf("cannot make image %s: %v: %s", image, err, out)
	}
}
