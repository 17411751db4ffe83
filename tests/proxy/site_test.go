package proxy_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/gobuild"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/load"
	"docker-registry-operator/tests/machine"
	"docker-registry-operator/tests/proxy"
)

const (
	// patience bounds each test. Idle cores need a fraction.
	patience = 3 * time.Minute

	// hookTime is how long after a change of a databag the proxy takes it over: HAProxy's charm has a
	// hook to run.
	hookTime = time.Second

	// caFile is where the operator of HAProxy puts the authority of the servers, by default of the
	// charm's option tls-ca-path.
	caFile = "/etc/docker/registry/ca.crt"
)

// A site is units of the charm behind HAProxy. Clients are on a machine of their own.
type site struct {
	*testing.T
	ctx     context.Context
	network *machine.Network
	model   *juju.Model
	app     *juju.Application
	website *juju.Relation
	front   *machine.Machine
	away    *machine.Machine
	proxy   *proxy.Proxy

	// authority signs what the proxy, or the units, serve; nil over plain HTTP.
	authority *authority.Authority
}

// newSite makes the machines of the proxy and of its clients, and no units yet.
func newSite(t *testing.T) *site {
	t.Helper()
	requireProxy(t)
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s := &site{T: t, ctx: ctx}
	var err error
	s.network, err = machine.NewNetwork()
	check(t, err)
	t.Cleanup(func() { check(t, s.network.Close()) })
	s.front, s.away = s.machine("proxy"), s.machine("clients")
	s.model, err = juju.NewModel(ctx, s.network)
	check(t, err)
	t.Cleanup(func() { check(t, s.model.Close()) })
	return s
}

func (s *site) machine(name string) *machine.Machine {
	s.Helper()
	return newMachine(s.T, machine.Options{Name: name, Network: s.network})
}

// deploy makes machines for that many units and deploys those; see deployOn.
func (s *site) deploy(units int, config map[string]string) {
	s.Helper()
	var machines []*machine.Machine
	for number := range units {
		machines = append(machines, s.machine(fmt.Sprintf("unit-%d", number)))
	}
	s.deployOn(machines, config)
}

// deployOn deploys units, waits for them, and relates them to the proxy; see settle. They run without
// an engine, which makes no difference to who talks to them.
func (s *site) deployOn(machines []*machine.Machine, config map[string]string) {
	s.Helper()
	charm, err := gobuild.Charm(s.ctx)
	check(s.T, err)
	options := juju.Options{Config: map[string]string{"registry-runtime": "native"}}
	maps.Copy(options.Config, config)
	s.app, err = s.model.Deploy(s.ctx, charm, options, machines...)
	check(s.T, err)
	check(s.T, s.app.WaitIdle(s.ctx))
	s.relate()
}

// relate relates the units to an application haproxy, whose unit's databag is as Juju fills it.
func (s *site) relate() {
	s.Helper()
	var err error
	s.proxy, err = proxy.Start(s.ctx, s.front, nil)
	check(s.T, err)
	s.Cleanup(func() { check(s.T, s.proxy.Stop()) })
	s.website, err = s.app.Relate("website", "haproxy")
	check(s.T, err)
	check(s.T, s.website.Set("haproxy/0", map[string]string{
		"ingress-address": s.front.Address(), "private-address": s.front.Address(), "egress-subnets": s.front.Address() + "/32",
		"public-address": s.front.Address(),
	}))
	s.follow()
}

// follow has the proxy do what the databags ask for until the test ends. HAProxy's charm acts when a
// databag has changed or a unit has joined, and does not when one departs.
func (s *site) follow() {
	stop := make(chan struct{})
	var loop sync.WaitGroup
	loop.Go(func() {
		seen := proxy.Databags{}
		for {
			units := proxy.Databags(s.website.Units())
			changed := false
			for unit, bag := range units {
				changed = changed || !maps.Equal(bag, seen[unit])
			}
			seen = units
			wait := 10 * time.Millisecond
			if changed {
				wait = hookTime
			}
			select {
			case <-stop:
				return
			case <-time.After(wait):
			}
			if changed {
				if _, err := s.proxy.Configure(s.ctx, proxy.Databags(s.website.Units())); err != nil {
					s.Error(err)
				}
			}
		}
	})
	s.Cleanup(func() { close(stop); loop.Wait() })
}

// servers are those that the units, all together, ask the proxy for: the names of their units, with
// those of backups in brackets.
func servers(bags proxy.Databags) []string {
	var names []string
	for _, bag := range bags {
		for line := range strings.Lines(bag["services"]) {
			name, ok := strings.CutPrefix(strings.TrimSpace(line), "- [")
			if !ok {
				continue
			}
			name, _, _ = strings.Cut(name, ",")
			if strings.HasSuffix(line, " backup]\n") {
				name = "(" + name + ")"
			}
			names = append(names, name)
		}
	}
	return names
}

// settle waits until one unit, and no other, tells the proxy of these servers, and the proxy has taken
// that over.
func (s *site) settle(publisher *juju.Unit, names ...string) {
	s.Helper()
	check(s.T, s.app.WaitIdle(s.ctx))
	for {
		bags := proxy.Databags(s.website.Units())
		problem := cmp.Diff(names, servers(bags))
		for _, name := range slices.Sorted(maps.Keys(bags)) {
			if told := beyondJuju(bags[name]); name != publisher.Name() && len(told) > 0 {
				problem += fmt.Sprintf("%s, which is not the leader, tells %v\n", name, told)
			}
		}
		want, err := proxy.Configuration(bags)
		if err != nil || s.proxy.Text() != want {
			problem += fmt.Sprintf("proxy: %v\n%s", err, cmp.Diff(want, s.proxy.Text()))
		}
		if problem == "" {
			return
		}
		select {
		case <-s.ctx.Done():
			s.Fatal(problem)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// beyondJuju is what a unit itself has put into its databag.
func beyondJuju(bag map[string]string) map[string]string {
	told := maps.Clone(bag)
	for _, key := range []string{"egress-subnets", "ingress-address", "private-address"} {
		delete(told, key)
	}
	return told
}

// url is where clients find the registry.
func (s *site) url() string {
	scheme := "http"
	if s.authority != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(s.front.Address(), "5000")
}

// push pushes images to a unit, not through the proxy.
func (s *site) push(unit *juju.Unit, images []image) {
	s.Helper()
	client := s.client(unit.Machine().Address())
	defer client.CloseIdleConnections()
	for _, image := range images {
		check(s.T, registry{s.url(), client}.push(image))
	}
}

// client is one on the clients' machine that finds at an address what calls itself as the proxy does.
func (s *site) client(address string) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return s.away.Dial(ctx, "tcp", net.JoinHostPort(address, "5000"))
	}}
	if s.authority != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: s.authority.Pool()}
	}
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// certify issues a certificate for a name and returns its parts: certificate, key and authority, PEM.
func certify(t *testing.T, a *authority.Authority, name string) (certificate, key, root []byte) {
	t.Helper()
	options, err := a.Options(name)
	check(t, err)
	for option, part := range map[string]*[]byte{"tls-cert-blob": &certificate, "tls-key-blob": &key, "tls-ca-blob": &root} {
		*part, err = base64.StdEncoding.DecodeString(options[option])
		check(t, err)
	}
	return certificate, key, root
}

// crowd sets clients to work that push and pull through the proxy.
func (s *site) crowd(clients int) *load.Crowd {
	address := net.JoinHostPort(s.front.Address(), "5000")
	options := load.Options{Clients: clients, URL: s.url(), Passwords: []string{""}}
	options.Dial = func(ctx context.Context) (net.Conn, error) { return s.away.Dial(ctx, "tcp", address) }
	if s.authority != nil {
		options.Roots = s.authority.Pool()
	}
	return load.Start(options)
}
