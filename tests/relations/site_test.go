// Package relations holds the charm's relations to what is promised of them, with Juju's own agent
// code and neighbours that the tests play: certificates and their rotation, every relation made,
// changed, broken and made again, alone and in pairs, and what a hook costs that has nothing to do.
package relations

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"docker-registry-operator/tests/gobuild"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
	"docker-registry-operator/tests/provider"
)

// patience bounds each test. Two idle cores need a fraction.
const patience = 8 * time.Minute

// charm is the packed charm, which TestMain makes.
var charm string

func TestMain(m *testing.M) {
	if os.Getuid() == 0 {
		var err error
		if charm, err = gobuild.Charm(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// native runs the registry without an engine, which is all that most of these tests need.
func native() map[string]string { return map[string]string{"registry-runtime": "native"} }

// A site is the deployed charm with what is related to it.
type site struct {
	t         *testing.T
	ctx       context.Context
	network   *machine.Network
	app       *juju.Application
	providers map[string]*provider.Provider
}

// newSite deploys units on machines of their own, with a Docker Engine unless the options say that they
// do without, and waits until all is calm.
func newSite(t *testing.T, units int, options map[string]string) *site {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s := &site{t: t, ctx: ctx, providers: map[string]*provider.Provider{}}
	network, err := machine.NewNetwork()
	s.must(err)
	t.Cleanup(func() { s.must(network.Close()) })
	s.network = network
	var machines []*machine.Machine
	for n := range units {
		m, err := machine.New(ctx, machine.Options{
			Name: fmt.Sprintf("machine-%d", n), Network: network, Engine: options["registry-runtime"] != "native",
		})
		s.must(err)
		t.Cleanup(func() { s.must(m.Close()) })
		for _, dir := range nagiosDirs() {
			s.must(os.MkdirAll(m.Path(dir), 0o755))
		}
		machines = append(machines, m)
	}
	model, err := juju.NewModel(ctx, network)
	s.must(err)
	t.Cleanup(func() { s.must(model.Close()) })
	s.app, err = model.Deploy(ctx, charm, juju.Options{Config: options}, machines...)
	s.must(err)
	s.settle()
	t.Cleanup(s.noFailure)
	return s
}

// part is the site for a part of a test.
func (s *site) part(t *testing.T) *site {
	copied := *s
	copied.t = t
	return &copied
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) unit() *juju.Unit { return s.app.Units()[0] }

// settle waits until no unit and no provider has anything left to do.
func (s *site) settle() {
	s.t.Helper()
	for {
		s.calm()
		answered := 0
		for _, name := range slices.Sorted(maps.Keys(s.providers)) {
			n, err := s.providers[name].Provide()
			s.must(err)
			answered += n
		}
		if answered == 0 {
			return
		}
	}
}

// calm waits until no unit has anything left to do.
func (s *site) calm() {
	s.t.Helper()
	s.must(s.app.WaitIdle(s.ctx))
}

func (s *site) hooks() int {
	all := 0
	for _, u := range s.app.Units() {
		all += len(u.Hooks())
	}
	return all
}

// noFailure wants every hook of the test to have succeeded.
func (s *site) noFailure() {
	for _, u := range s.app.Units() {
		for _, hook := range u.Hooks() {
			if hook.Err != "" {
				s.t.Errorf("%s: %s\n%v", u.Name(), hook, hook.Log)
			}
		}
	}
}

func (s *site) set(options map[string]string) {
	s.t.Helper()
	s.must(s.app.SetConfig(options))
	s.settle()
}

func (s *site) reset(names ...string) {
	s.t.Helper()
	s.must(s.app.ResetConfig(names...))
	s.settle()
}

// update has update-status run on a unit.
func (s *site) update(u *juju.Unit) {
	s.t.Helper()
	u.UpdateStatus()
	s.settle()
}

// provide relates to a provider, which settle has answer from then on.
func (s *site) provide(name string, options provider.Options) *provider.Provider {
	s.t.Helper()
	p, err := provider.Relate(s.app, name, options)
	s.must(err)
	s.providers[name] = p
	s.settle()
	return p
}

// dismiss ends the relation with a provider.
func (s *site) dismiss(name string) {
	s.t.Helper()
	s.providers[name].Remove()
	delete(s.providers, name)
	s.settle()
}

func (s *site) wantStatus(u *juju.Unit, want string) {
	s.t.Helper()
	want = strings.ReplaceAll(want, "ADDRESS", u.Machine().Address())
	if got := u.Status().String(); got != want {
		s.t.Errorf("status of %s:\n got %s\nwant %s", u.Name(), got, want)
	}
}

func address(u *juju.Unit) string { return net.JoinHostPort(u.Machine().Address(), "5000") }

// served are the certificates that a unit serves to a client that trusts the pool.
func (s *site) served(u *juju.Unit, pool *x509.CertPool) ([]*x509.Certificate, error) {
	conn, err := u.Machine().Dial(s.ctx, "tcp", address(u))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	client := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: u.Machine().Address()})
	if err := client.HandshakeContext(s.ctx); err != nil {
		return nil, err
	}
	return client.ConnectionState().PeerCertificates, nil
}

// wantServed wants a unit to serve a certificate that a client trusts who knows the pool.
func (s *site) wantServed(u *juju.Unit, pool *x509.CertPool) *x509.Certificate {
	s.t.Helper()
	chain, err := s.served(u, pool)
	if err != nil {
		s.t.Fatalf("%s: %v (%s)", u.Name(), err, u.Status())
	}
	for _, certificate := range chain {
		if certificate.CheckSignatureFrom(certificate) == nil {
			s.t.Errorf("%s serves a root: %s", u.Name(), certificate.Subject)
		}
	}
	return chain[0]
}

// wantPlain wants a unit to serve without TLS.
func (s *site) wantPlain(u *juju.Unit) {
	s.t.Helper()
	client := u.Machine().HTTPClient()
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://" + address(u) + "/v2/")
	s.must(err)
	s.must(resp.Body.Close())
	if resp.StatusCode != 200 {
		s.t.Errorf("%s: %s", u.Name(), resp.Status)
	}
}
