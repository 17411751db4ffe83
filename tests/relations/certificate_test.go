package relations

import (
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/provider"
	"docker-registry-operator/tests/script"
)

const (
	plain   = "active: Ready at ADDRESS:5000 (http)."
	secured = "active: Ready at ADDRESS:5000 (https)."

	// keyPath is the registry's own copy of its key.
	keyPath = "/etc/docker/registry/tls/registry-key.pem"
)

// TestCertificates takes a unit through all that its provider may do, in each version of the interface.
func TestCertificates(t *testing.T) {
	for name, options := range map[string]provider.Options{
		"vault":                    {Version: 0, Intermediate: true},
		"self-signed-certificates": {Version: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCustomer(t, name, options)
			c.run("asks and is answered", c.testAnswer)
			c.run("is left alone", c.testQuiet)
			c.run("hides its key", c.testSecrets)
			c.run("asks for further names", c.testNames)
			c.run("keeps what serves", c.testFaults)
			c.run("renews", c.testRenewal)
			c.run("is revoked", c.testRevocation)
			c.run("follows its authority", c.testRotation)
			c.run("prefers the options", c.testOptions)
			c.run("is left by its provider", c.testEnd)
			c.run("begins with a fault", c.testFaultFirst)
		})
	}
}

// TestChains has the other way of standing below a root in each version.
func TestChains(t *testing.T) {
	for name, options := range map[string]provider.Options{
		"easyrsa":   {Version: 0},
		"vault-k8s": {Version: 1, Intermediate: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCustomer(t, name, options)
			c.run("asks and is answered", c.testAnswer)
			c.run("follows its authority", c.testRotation)
			c.run("is left by its provider", c.testEnd)
		})
	}
}

func newCustomer(t *testing.T, name string, options provider.Options) *customer {
	t.Helper()
	s := newSite(t, 1, native())
	return &customer{site: s, u: s.unit(), name: name, options: options}
}

// A customer is a unit and its provider.
type customer struct {
	*site
	u       *juju.Unit
	name    string
	options provider.Options
	p       *provider.Provider
}

func (c *customer) run(name string, part func()) {
	c.t.Run(name, func(t *testing.T) {
		whole := c.site
		defer func() { c.site = whole }()
		c.site = whole.part(t)
		part()
	})
}

// wantCertificate wants the provider's certificate to be served, and nothing to be said about it.
func (c *customer) wantCertificate() *x509.Certificate {
	c.t.Helper()
	c.wantStatus(c.u, secured)
	return c.wantServed(c.u, c.p.Pool())
}

// relateLate relates to the provider, which does not look at the request yet.
func (c *customer) relateLate() {
	c.t.Helper()
	var err error
	c.p, err = provider.Relate(c.app, c.name, c.options)
	c.must(err)
	c.calm()
}

func (c *customer) testAnswer() {
	c.relateLate()
	c.wantStatus(c.u, plain+" Waiting for a certificate from "+c.name+".")
	c.wantPlain(c.u)
	c.providers[c.name] = c.p
	c.settle()
	leaf := c.wantCertificate()
	wantNames(c.t, leaf, c.u.Machine().Address(), "127.0.0.1", "localhost", "machine-0")
	chain, err := c.served(c.u, c.p.Pool())
	c.must(err)
	want := 1
	if c.options.Intermediate {
		want++
	}
	if len(chain) != want {
		c.t.Errorf("%d certificates are served, want %d", len(chain), want)
	}
}

// wantNames wants a certificate to be for these names and no others.
func wantNames(t *testing.T, certificate *x509.Certificate, want ...string) {
	t.Helper()
	got := slices.Clone(certificate.DNSNames)
	for _, address := range certificate.IPAddresses {
		got = append(got, address.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// testQuiet has the provider look again, which finds nothing to do.
func (c *customer) testQuiet() {
	serial, hooks := c.wantCertificate().SerialNumber, c.hooks()
	c.settle()
	if c.hooks() != hooks {
		c.t.Errorf("a hook ran: %v", c.u.Hooks()[hooks:])
	}
	c.update(c.u)
	if again := c.wantCertificate().SerialNumber; again.Cmp(serial) != 0 {
		c.t.Error("another certificate is served")
	}
}

// testSecrets looks for the key where it may not be. That it is in no databag that the provider reads,
// the provider itself sees to.
func (c *customer) testSecrets() {
	m := c.u.Machine()
	info, err := os.Stat(m.Path(keyPath))
	c.must(err)
	if info.Mode().Perm() != 0o600 {
		c.t.Errorf("mode of the key is %s", info.Mode())
	}
	records, err := os.Stat(m.Path("/var/lib/docker-registry/records.json"))
	c.must(err)
	if records.Mode().Perm() != 0o600 {
		c.t.Errorf("mode of the records is %s", records.Mode())
	}
	key, err := m.ReadFile(keyPath)
	c.must(err)
	line := strings.Split(string(key), "\n")[2]
	c.must(script.Conceals(c.ctx, c.u, line))
	for _, r := range c.app.Relations() {
		for _, name := range []string{c.u.Name(), c.app.Name()} {
			if bag := fmt.Sprint(r.Get(name)); strings.Contains(bag, line) || strings.Contains(bag, "PRIVATE KEY") {
				c.t.Errorf("%s tells the key in the databag of %s", r.ID(), name)
			}
		}
	}
}

// testNames has further names come and go.
func (c *customer) testNames() {
	own := []string{c.u.Machine().Address(), "127.0.0.1", "localhost", "machine-0"}
	serial := c.wantServed(c.u, c.p.Pool()).SerialNumber
	c.set(map[string]string{"http-host": "https://registry.example.com"})
	leaf := c.wantServed(c.u, c.p.Pool())
	wantNames(c.t, leaf, append([]string{"registry.example.com"}, own...)...)
	if leaf.SerialNumber.Cmp(serial) == 0 {
		c.t.Error("the same certificate is for other names")
	}
	joinProxy(c.site)
	wantNames(c.t, c.wantServed(c.u, c.p.Pool()), append([]string{"registry.example.com", "192.0.2.20"}, own...)...)
	changeProxy(c.site)
	wantNames(c.t, c.wantServed(c.u, c.p.Pool()), append([]string{"registry.example.com", "192.0.2.21"}, own...)...)
	parting("website", "haproxy")(c.site)
	c.reset("http-host")
	wantNames(c.t, c.wantCertificate(), own...)
}

// noteOn is what the status says after an answer with a fault.
func (c *customer) noteOn(fault provider.Fault) string {
	const noPEM = "its certificate must be PEM, starting with -----BEGIN CERTIFICATE-----"
	reason := map[provider.Fault][2]string{
		provider.Half:       {"", noPEM},
		provider.Garbage:    {noPEM, "what it says cannot be understood"},
		provider.ForeignKey: both("its key cannot be used with the certificate: private key does not match public key"),
		provider.WrongCA:    both("it is not signed by the authority that came with it"),
		provider.Authority:  both("it is that of an authority"),
	}[fault][c.options.Version]
	if reason == "" {
		return fmt.Sprintf(" Waiting for a certificate from %s.", c.name)
	}
	return fmt.Sprintf(" The certificate from %s is not used: %s.", c.name, reason)
}

// both is what is the same in either version.
func both(text string) [2]string { return [2]string{text, text} }

// testFaults has the provider answer wrongly: what was served before is served on.
func (c *customer) testFaults() {
	pool := c.p.Pool()
	for _, fault := range provider.Faults() {
		serial := c.wantCertificate().SerialNumber
		c.p.Fault = fault
		c.must(c.p.Reissue())
		c.calm()
		if again := c.wantServed(c.u, pool).SerialNumber; again.Cmp(serial) != 0 {
			c.t.Errorf("%s: another certificate is served", fault)
		}
		c.wantStatus(c.u, secured+c.noteOn(fault))
		c.p.Fault = provider.None
		c.must(c.p.Reissue())
		c.settle()
		if again := c.wantCertificate().SerialNumber; again.Cmp(serial) == 0 {
			c.t.Errorf("%s: the certificate after it is not served", fault)
		}
	}
}

// testFaultFirst has the provider answer wrongly from the start: the unit goes on without TLS.
func (c *customer) testFaultFirst() {
	c.relateLate()
	for _, fault := range provider.Faults() {
		c.p.Fault = fault
		c.must(c.p.Reissue())
		c.calm()
		c.wantPlain(c.u)
		c.wantStatus(c.u, plain+c.noteOn(fault))
	}
	c.p.Fault = provider.None
	c.must(c.p.Reissue())
	c.calm()
	c.wantCertificate()
	c.p.Remove()
	c.calm()
	c.wantPlain(c.u)
}

// testRenewal answers with a certificate that has nine tenths of its validity behind it, for which the
// unit soon wants another. In version 0 there is no way to ask for one: its provider knows.
func (c *customer) testRenewal() {
	if c.options.Version == 0 {
		c.t.Log("a provider of version 0 renews by itself")
		return
	}
	asked := c.asked()
	c.p.Validity, c.p.Age = 10*time.Minute, 10*time.Minute*92/100
	c.must(c.p.Reissue())
	c.calm()
	for c.asked() == asked {
		// A request that was just made is left alone for a hundredth of the validity.
		c.must(c.ctx.Err())
		time.Sleep(time.Second)
		c.u.UpdateStatus()
		c.calm()
	}
	c.wantServed(c.u, c.p.Pool())
	c.p.Validity, c.p.Age = 0, 0
	c.settle()
	if leaf := c.wantCertificate(); leaf.NotAfter.Sub(leaf.NotBefore) == 10*time.Minute {
		c.t.Error("the old certificate is still served")
	}
	hooks := c.hooks()
	c.update(c.u)
	if c.hooks() != hooks+1 {
		c.t.Errorf("the new certificate is not left alone: %v", c.u.Hooks()[hooks:])
	}
}

// asked is the signing request that the unit makes.
func (c *customer) asked() string {
	return c.p.Relation().Get(c.u.Name())["certificate_signing_requests"]
}

func (c *customer) testRevocation() {
	if c.options.Version == 0 {
		c.t.Log("a provider of version 0 does not tell of a revocation")
		return
	}
	serial, asked := c.wantCertificate().SerialNumber, c.asked()
	key, err := c.u.Machine().ReadFile(keyPath)
	c.must(err)
	c.must(c.p.Revoke())
	c.calm()
	if again := c.wantServed(c.u, c.p.Pool()).SerialNumber; again.Cmp(serial) != 0 {
		c.t.Error("another certificate is served")
	}
	c.wantStatus(c.u, secured+" "+c.name+" revoked the certificate; waiting for another.")
	if c.asked() == asked {
		c.t.Error("the same request is made again")
	}
	c.settle()
	if c.wantCertificate().SerialNumber.Cmp(serial) == 0 {
		c.t.Error("the revoked certificate is still served")
	}
	if again, err := c.u.Machine().ReadFile(keyPath); err != nil || string(again) == string(key) {
		c.t.Errorf("the key of the revoked certificate is used again (%v)", err)
	}
}

// testRotation has another authority issue, which clients at endpoint docker-registry are told of.
func (c *customer) testRotation() {
	joinRuntimes(c.site)
	before := c.p.CA()
	c.wantTold(before)
	c.must(c.p.Rotate())
	c.settle()
	c.wantCertificate()
	c.wantTold(c.p.CA())
	if c.p.CA() == before {
		c.t.Error("the authority is the same")
	}
	parting("docker-registry", "containerd")(c.site)
}

// wantTold wants container runtimes to be told whom to trust.
func (c *customer) wantTold(ca string) {
	c.t.Helper()
	got := c.app.RelationWith("docker-registry", "containerd").Get(c.u.Name())["tls_ca"]
	if want := `"` + strings.ReplaceAll(ca, "\n", `\n`) + `"`; got != want {
		c.t.Errorf("tls_ca is %s\nwant %s", got, want)
	}
}

func (c *customer) testOptions() {
	other, err := authority.New()
	c.must(err)
	options, err := other.Options(c.u.Machine().Address())
	c.must(err)
	c.set(options)
	c.wantServed(c.u, other.Pool())
	c.wantStatus(c.u, secured+" TLS is from the options; cert-provider is not used.")
	c.reset("tls-cert-blob", "tls-key-blob", "tls-ca-blob")
	c.wantCertificate()
}

// testEnd ends the relation: without options the unit is back to plain HTTP, with them to those.
func (c *customer) testEnd() {
	other, err := authority.New()
	c.must(err)
	options, err := other.Options(c.u.Machine().Address())
	c.must(err)
	c.set(options)
	c.dismiss(c.name)
	c.wantServed(c.u, other.Pool())
	c.wantStatus(c.u, secured)
	c.reset("tls-cert-blob", "tls-key-blob", "tls-ca-blob")
	c.wantPlain(c.u)
	c.wantStatus(c.u, plain)
}

// TestTwoProviders has a provider of each version: the one that never sees a key is preferred, and the
// other takes its place.
func TestTwoProviders(t *testing.T) {
	s := newSite(t, 2, native())
	made := s.provide("easyrsa", provider.Options{})
	signed := s.provide("self-signed-certificates", provider.Options{Version: 1})
	for _, u := range s.app.Units() {
		s.wantServed(u, signed.Pool())
		s.wantStatus(u, secured)
	}
	s.dismiss("self-signed-certificates")
	for _, u := range s.app.Units() {
		s.wantServed(u, made.Pool())
		s.wantStatus(u, secured)
	}
	s.provide("self-signed-certificates", provider.Options{Version: 1})
	s.dismiss("easyrsa")
	for _, u := range s.app.Units() {
		s.wantServed(u, s.providers["self-signed-certificates"].Pool())
	}
	s.dismiss("self-signed-certificates")
	s.wantPlain(s.unit())
}

// TestFurtherRequests has a provider answer where it answers what a unit asked for second.
func TestFurtherRequests(t *testing.T) {
	s := newSite(t, 1, native())
	p := s.provide("vault", provider.Options{Further: true})
	s.wantServed(s.unit(), p.Pool())
	s.dismiss("vault")
	s.wantPlain(s.unit())
}
