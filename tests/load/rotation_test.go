package load_test

import (
	"crypto/x509"
	"os"
	"slices"
	"testing"
	"time"

	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/provider"
)

// TestRotation has providers of both versions of tls-certificates issue new certificates to a unit, and
// the unit change from one to the other, while 50 clients push and pull: no request may fail, and once
// the hook has ended the new certificate is served.
func TestRotation(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	s := newSite(t, map[string]string{"http-host": "https://" + registryName})
	signing := s.provide(t, "self-signed-certificates", provider.Options{Version: 1, Intermediate: true})
	making := s.provide(t, "easyrsa", provider.Options{})
	s.trust(t, s.authority.Chain()[0], signing.CA(), making.CA())
	s.start(t)

	reissue := func(p *provider.Provider) func(*testing.T) { return func(t *testing.T) { check(t, p.Reissue()) } }
	for _, change := range []rotation{
		{name: "signed anew", act: reissue(signing), hook: changed},
		{
			name: "another name", hook: changed,
			prepare: func(t *testing.T) { s.addProxy(t); s.answer(t, making) },
			act:     func(t *testing.T) { s.answer(t, signing) },
		},
		{
			name: "revoked", hook: changed,
			prepare: func(t *testing.T) { check(t, signing.Revoke()) },
			act:     func(t *testing.T) { s.answer(t, signing) },
		},
		{name: "the other provider", act: func(*testing.T) { signing.Remove() }, hook: broken},
		{name: "made anew", act: reissue(making), hook: changed},
		{
			name: "options", hook: "config-changed",
			act: func(t *testing.T) { check(t, s.app.SetConfig(s.certificate(t))) },
		},
		{
			name: "no options", hook: "config-changed",
			act: func(t *testing.T) { check(t, s.app.ResetConfig("tls-cert-blob", "tls-key-blob", "tls-ca-blob")) },
		},
	} {
		s.during(t, change.name, func(t *testing.T) { s.rotate(t, change) })
	}
}

// Hooks that take another certificate into use.
const (
	changed = "cert-provider-relation-changed"
	broken  = "cert-provider-relation-broken"
)

// A rotation is a change that leads to another certificate: after what prepares it, act has the hook
// run.
type rotation struct {
	name, hook   string
	prepare, act func(t *testing.T)
}

// rotate asks for the certificate as soon as the hook has ended.
func (s *site) rotate(t *testing.T, r rotation) {
	t.Helper()
	if r.prepare != nil {
		r.prepare(t)
		check(t, s.app.WaitIdle(s.ctx))
	}
	before, hooks := s.serial(t), len(s.unit.Hooks())
	r.act(t)
	ended := func() bool {
		return slices.ContainsFunc(s.unit.Hooks()[hooks:], func(h *juju.Hook) bool { return h.Name == r.hook })
	}
	for !ended() {
		check(t, s.ctx.Err())
		time.Sleep(time.Millisecond)
	}
	if after := s.serial(t); after == before {
		t.Errorf("%v: certificate %s is still served", s.unit.Hooks()[hooks:], after)
	}
}

// provide relates to a provider and waits for its certificate.
func (s *site) provide(t *testing.T, name string, options provider.Options) *provider.Provider {
	t.Helper()
	p, err := provider.Relate(s.app, name, options)
	check(t, err)
	check(t, s.app.WaitIdle(s.ctx))
	s.answer(t, p)
	return p
}

// answer has a provider answer the unit's request.
func (s *site) answer(t *testing.T, p *provider.Provider) {
	t.Helper()
	answered, err := p.Provide()
	check(t, err)
	if answered != 1 {
		t.Errorf("%d requests were answered, want one", answered)
	}
}

// trust has the clients trust roots (PEM).
func (s *site) trust(t *testing.T, roots ...string) {
	t.Helper()
	check(t, s.app.WaitIdle(s.ctx))
	s.roots = x509.NewCertPool()
	for _, root := range roots {
		if !s.roots.AppendCertsFromPEM([]byte(root)) {
			t.Fatalf("cannot trust %q", root)
		}
	}
}

// addProxy relates to a proxy, whose address the certificate is to be for as well.
func (s *site) addProxy(t *testing.T) {
	t.Helper()
	r, err := s.app.Relate("website", "haproxy")
	check(t, err)
	check(t, r.Set("haproxy/0", map[string]string{"ingress-address": "192.0.2.20"}))
	check(t, s.app.WaitIdle(s.ctx))
}
