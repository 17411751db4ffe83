// Package provider plays an application that issues certificates to the units under test over the
// tls-certificates interface: in version 0 as easyrsa and vault do, in version 1 as
// self-signed-certificates does. It reads requests as strictly as the strictest of them, and can answer
// wrongly on purpose. When it looks and answers is for the test to say, so that nothing depends on time.
package provider

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/juju"
)

// endpoint is the charm's, whose name the model gives to the provider's end too.
const endpoint = "cert-provider"

// address is the provider's, which nobody connects to.
const address = "192.0.2.7"

// Options say what kind of provider it is.
type Options struct {
	// Version is that of the interface, 0 or 1.
	Version int

	// Intermediate has an authority below the root issue the certificates.
	Intermediate bool

	// Further makes a provider of version 0 answer where it answers what is not a unit's first request.
	Further bool
}

// A Fault is a way to answer wrongly.
type Fault string

// All ways to answer wrongly.
const (
	// None is the right answer.
	None Fault = ""
	// Half leaves out the key in version 0 and half of the certificate in version 1.
	Half Fault = "half"
	// Garbage is an answer that is none.
	Garbage Fault = "garbage"
	// ForeignKey is a certificate for another key than the one of version 0 or of the request.
	ForeignKey Fault = "foreign-key"
	// WrongCA tells of another authority than the one that signed.
	WrongCA Fault = "wrong-ca"
	// Authority answers with a certificate that may sign others.
	Authority Fault = "authority"
)

// Faults are all ways to answer wrongly.
func Faults() []Fault { return []Fault{Half, Garbage, ForeignKey, WrongCA, Authority} }

// A Provider plays an application with one unit. Its methods are not to be called from several
// goroutines at a time.
type Provider struct {
	// Fault is how the next answers are wrong.
	Fault Fault

	// Validity is how long certificates are good from now on, a day if zero, and Age how much of that
	// is over when they are issued.
	Validity, Age time.Duration

	options  Options
	name     string
	app      *juju.Application
	relation *juju.Relation
	issuer   *authority.Authority
	protocol protocol
}

// A protocol is one version of the interface.
type protocol interface {
	// answer answers those requests that have no answer and says how many that were.
	answer(requests []request) (int, error)
	// forget takes back every answer, so that each request is answered anew.
	forget()
	// tell returns what the provider's unit and the application say.
	tell() (unit, application map[string]string, err error)
}

// Relate relates an application to a provider of that name, which has a unit from the start but has not
// looked at any request yet.
func Relate(app *juju.Application, name string, options Options) (*Provider, error) {
	p := &Provider{options: options, name: name, app: app}
	if err := p.renew(); err != nil {
		return nil, err
	}
	switch options.Version {
	case 0:
		p.protocol = &version0{provider: p, answers: map[string]made{}}
	case 1:
		p.protocol = &version1{provider: p}
	default:
		return nil, fmt.Errorf("cannot play version %d of tls-certificates", options.Version)
	}
	var err error
	if p.relation, err = app.Relate(endpoint, name); err != nil {
		return nil, err
	}
	return p, p.publish()
}

// Relation returns what connects the provider with the application.
func (p *Provider) Relation() *juju.Relation { return p.relation }

// Version returns that of the interface.
func (p *Provider) Version() int { return p.options.Version }

// Pool returns the provider's root as what a client trusts.
func (p *Provider) Pool() *x509.CertPool { return p.issuer.Pool() }

// CA returns the root (PEM) that clients of the application are to trust.
func (p *Provider) CA() string {
	chain := p.issuer.Chain()
	return chain[len(chain)-1]
}

// Provide does what one hook of the provider does: it answers each request that has no answer yet, and
// says how many. A request that a provider would refuse or misread is an error.
func (p *Provider) Provide() (answered int, err error) {
	requests, err := p.requests()
	if err != nil {
		return 0, err
	}
	if answered, err = p.protocol.answer(requests); err != nil {
		return 0, err
	}
	return answered, p.publish()
}

// Reissue answers every request anew.
func (p *Provider) Reissue() error {
	p.protocol.forget()
	_, err := p.Provide()
	return err
}

// Rotate makes a new authority and answers every request anew. The old authority's certificates are no
// longer told.
func (p *Provider) Rotate() error {
	if err := p.renew(); err != nil {
		return err
	}
	return p.Reissue()
}

// Revoke says of every certificate of version 1 that it was revoked. Those requests are answered again
// only after Reissue, others by Provide.
func (p *Provider) Revoke() error {
	v, ok := p.protocol.(*version1)
	if !ok {
		return fmt.Errorf("cannot revoke certificates of %s: version %d does not tell", p.name, p.options.Version)
	}
	v.revoke()
	return p.publish()
}

// Remove ends the relation.
func (p *Provider) Remove() { p.relation.Remove() }

func (p *Provider) unit() string { return p.name + "/0" }

func (p *Provider) renew() error {
	issuer, err := authority.New()
	if err == nil && p.options.Intermediate {
		issuer, err = issuer.Subordinate("Test intermediate")
	}
	p.issuer = issuer
	return err
}

// publish replaces both databags. What Juju itself tells of a unit stays.
func (p *Provider) publish() error {
	unit, application, err := p.protocol.tell()
	if err != nil {
		return err
	}
	unit["ingress-address"], unit["private-address"] = address, address
	for name, bag := range map[string]map[string]string{p.name: application, p.unit(): unit} {
		for key := range p.relation.Get(name) {
			if _, ok := bag[key]; !ok {
				bag[key] = ""
			}
		}
		if err := p.relation.Set(name, bag); err != nil {
			return err
		}
	}
	return nil
}

// requests are those of all units.
func (p *Provider) requests() ([]request, error) {
	var all []request
	for _, unit := range p.app.Units() {
		bag := p.relation.Get(unit.Name())
		for _, key := range slices.Sorted(maps.Keys(bag)) {
			if strings.Contains(bag[key], "PRIVATE KEY") {
				return nil, fmt.Errorf("%s tells a private key to %s as %q", unit.Name(), p.name, key)
			}
		}
		r, asked, err := readRequest(bag)
		if err != nil {
			return nil, fmt.Errorf("%s cannot read the request of %s: %w", p.name, unit.Name(), err)
		}
		if asked {
			all = append(all, r)
		}
	}
	return all, nil
}
