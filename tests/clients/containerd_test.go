package clients_test

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/clients"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
	"docker-registry-operator/tests/provider"
)

const (
	oldPassword = "first password of $everyone"
	newPassword = "second-password"

	plainNote = "Container runtimes reach a registry over TLS only: integrate cert-provider, or set tls-cert-blob and tls-key-blob."
)

// node makes a machine with a containerd.
func (s *site) node(t *testing.T) *clients.Containerd {
	t.Helper()
	return newNode(t, s.machine(t, "node", false))
}

// newNode gives a machine a containerd and the certificate of a cluster.
func newNode(t *testing.T, m *machine.Machine) *clients.Containerd {
	t.Helper()
	cluster, err := authority.New()
	check(t, err)
	options, err := cluster.Options("node")
	check(t, err)
	var files [3][]byte
	for i, option := range []string{"tls-cert-blob", "tls-key-blob", "tls-ca-blob"} {
		files[i], err = base64.StdEncoding.DecodeString(options[option])
		check(t, err)
	}
	containerd, err := clients.NewContainerd(m, files[0], files[1], files[2])
	check(t, err)
	return containerd
}

// wantPull has containerd, set up for the registry, fetch all of an image.
func (s *site) wantPull(t *testing.T, containerd *clients.Containerd, registry clients.Registry) {
	t.Helper()
	check(t, containerd.Configure(s.ctx, registry))
	check(t, containerd.Forget(s.ctx, *registry.Netloc+"/app:1.0"))
	digest, err := containerd.Pull(s.ctx, *registry.Netloc+"/app:1.0")
	if err != nil || !strings.HasPrefix(digest, "sha256:") {
		t.Errorf("pulled %q: %v", digest, err)
	}
}

func (s *site) wantNoPull(t *testing.T, containerd *clients.Containerd, registry clients.Registry, because string) {
	t.Helper()
	check(t, containerd.Configure(s.ctx, registry))
	if _, err := containerd.Pull(s.ctx, *registry.Netloc+"/app:1.0"); err == nil || !strings.Contains(err.Error(), because) {
		t.Errorf("pull: error %v, want one with %q", err, because)
	}
}

// wantBags compares what every unit tells.
func (s *site) wantBags(t *testing.T, want map[string]string) {
	t.Helper()
	for unit, got := range s.bags() {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("databag of %s (-want +got):\n%s", unit, diff)
		}
	}
}

// TestContainerd follows a registry through what its operator does, with a containerd that is set up
// again after each change as its charm would.
func TestContainerd(t *testing.T) {
	need(t, "containerd", "update-ca-certificates")
	s := newSite(t, map[string]string{"auth-basic-password": oldPassword})
	s.push(t, "app:1.0", "first")
	containerd := s.node(t)
	t.Cleanup(func() { check(t, containerd.Stop(context.Background())) })
	s.relation = s.relate(t, "containerd", map[string]string{"ingress-address": "10.213.0.3"})
	issuer := &provider.Provider{}

	t.Run("plain HTTP", func(t *testing.T) {
		s.wantStatus(t, "active: Ready at 10.213.0.2:5000 (http). "+plainNote)
		s.wantBags(t, map[string]string{
			"registry_netloc": `"10.213.0.2:5000"`, "registry_url": `"http://10.213.0.2:5000"`,
			"basic_user": `"admin"`, "basic_password": `"first password of $everyone"`, "tls_ca": "null",
		})
		s.wantNoPull(t, containerd, s.registry(t), "server gave HTTP response to HTTPS client")
	})
	t.Run("certificate", func(t *testing.T) {
		var err error
		issuer, err = provider.Relate(s.app, "easyrsa", provider.Options{})
		check(t, err)
		s.certify(t, issuer)
		s.wantStatus(t, "active: Ready at 10.213.0.2:5000 (https).")
		ca := strings.ReplaceAll(issuer.CA(), "\n", `\n`)
		s.wantBags(t, map[string]string{
			"registry_netloc": `"10.213.0.2:5000"`, "registry_url": `"https://10.213.0.2:5000"`,
			"basic_user": `"admin"`, "basic_password": `"first password of $everyone"`, "tls_ca": `"` + ca + `"`,
		})
		s.wantPull(t, containerd, s.registry(t))
	})
	t.Run("wrong password", func(t *testing.T) {
		registry, wrong := s.registry(t), "wrong"
		registry.Password = &wrong
		s.wantNoPull(t, containerd, registry, "401 Unauthorized")
	})
	t.Run("another authority", func(t *testing.T) {
		other, err := authority.New()
		check(t, err)
		registry, ca := s.registry(t), other.Chain()[0]
		registry.CA = &ca
		s.wantNoPull(t, containerd, registry, "certificate signed by unknown authority")
	})
	t.Run("new password", func(t *testing.T) {
		before := s.registry(t)
		s.configure(t, map[string]string{"auth-basic-password": newPassword})
		s.wantNoPull(t, containerd, before, "401 Unauthorized")
		s.wantPull(t, containerd, s.registry(t))
	})
	t.Run("new authority", func(t *testing.T) {
		before := s.registry(t)
		check(t, issuer.Rotate())
		check(t, s.app.WaitIdle(s.ctx))
		s.wantNoPull(t, containerd, before, "certificate signed by unknown authority")
		s.wantPull(t, containerd, s.registry(t))
	})
	t.Run("two units", func(t *testing.T) { s.twoUnits(t, issuer) })
	t.Run("no password", func(t *testing.T) {
		check(t, s.app.ResetConfig("auth-basic-password"))
		check(t, s.app.WaitIdle(s.ctx))
		if registry := s.registry(t); registry.BasicAuth() || registry.User != nil || registry.Password != nil {
			t.Errorf("the registry still tells of a user: %v", s.bags())
		}
		s.wantPull(t, containerd, s.registry(t))
	})
	t.Run("no certificate", func(t *testing.T) {
		issuer.Remove()
		check(t, s.app.WaitIdle(s.ctx))
		s.wantStatus(t, "active: Ready at 10.213.0.2:5000 (http). "+plainNote)
		if registry := s.registry(t); registry.TLS() {
			t.Errorf("the registry still tells of an authority: %v", s.bags())
		}
	})
	t.Run("no client", func(t *testing.T) {
		s.relation.Remove()
		check(t, s.app.WaitIdle(s.ctx))
		s.wantStatus(t, "active: Ready at 10.213.0.2:5000 (http).")
	})
}

// certify has the issuer answer until nobody asks any more.
func (s *site) certify(t *testing.T, issuer *provider.Provider) {
	t.Helper()
	for {
		check(t, s.app.WaitIdle(s.ctx))
		answered, err := issuer.Provide()
		check(t, err)
		if answered == 0 {
			return
		}
	}
}

// twoUnits adds a unit, lets hooks run that change nothing, and takes the unit away again.
func (s *site) twoUnits(t *testing.T, issuer *provider.Provider) {
	bag := s.bags()[s.app.Units()[0].Name()]
	second, err := s.app.AddUnit(s.ctx, s.machine(t, "registry-1", true), nil)
	check(t, err)
	s.certify(t, issuer)
	s.wantBags(t, bag)

	hooks := make(map[*juju.Unit]int)
	for _, unit := range s.app.Units() {
		hooks[unit] = len(unit.Hooks())
		unit.UpdateStatus()
	}
	check(t, s.relation.Set("containerd/0", map[string]string{"ingress-address": "10.213.0.9"}))
	check(t, s.app.WaitIdle(s.ctx))
	for _, unit := range s.app.Units() {
		for _, hook := range unit.Hooks()[hooks[unit]:] {
			if slices.Contains(hook.Tools, "relation-set") {
				t.Errorf("%s of %s publishes, though nothing has changed", hook.Name, unit.Name())
			}
		}
	}

	s.app.SetLeader(second)
	check(t, s.app.WaitIdle(s.ctx))
	s.wantBags(t, bag)
	s.configure(t, map[string]string{"auth-basic-user": "pull"})
	bag["basic_user"] = `"pull"`
	s.wantBags(t, bag)
	second.Remove()
	check(t, second.WaitGone(s.ctx))
	check(t, s.app.WaitIdle(s.ctx))
}
