package stories

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"docker-registry-operator/tests/script"
)

// login is what a sign-in as admin is answered with.
func (p *place) login(password string) int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.ctx, http.MethodGet, "http://127.0.0.1:5000/v2/", nil)
	p.must(err)
	req.SetBasicAuth("admin", password)
	client := p.machine.HTTPClient()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	p.must(err)
	p.must(resp.Body.Close())
	return resp.StatusCode
}

// wantPassword wants the registry to take one password for admin, and no other.
func (p *place) wantPassword(good string, bad ...string) {
	p.t.Helper()
	if got := p.login(good); got != http.StatusOK {
		p.t.Errorf("password %q: answer %d", good, got)
	}
	for _, password := range bad {
		if got := p.login(password); got != http.StatusUnauthorized {
			p.t.Errorf("password %q: answer %d", password, got)
		}
	}
}

// TestSecrets takes an option that names a secret through its life. Whatever happens to the secret, the
// registry answers all the time, and no hook fails.
func TestSecrets(t *testing.T) {
	p := deployed(t, map[string]string{"registry-runtime": "native"})
	ready, hooks := p.unit.Status().String(), len(p.unit.Hooks())
	secret := p.model.AddSecret(map[string]string{"auth-basic-password": "f1rst-w0rd", "old": "other-w0rd"})
	advice := fmt.Sprintf(`type "juju grant-secret %s docker-registry", or reset the option`, secret.ID())
	unread := func(reason string) string {
		return fmt.Sprintf(`blocked: Invalid charm config: option "auth-basic-password": names secret %s, which the unit cannot read (cannot run secret-get: %s); %s`, secret.ID(), reason, advice)
	}
	w := p.watch(5000)

	p.set(map[string]string{"auth-basic-password": "secret:" + secret.ID()})
	p.settle()
	p.wantStatus(unread("permission denied"))
	if got := p.login("any"); got != http.StatusOK {
		t.Errorf("a registry without passwords answers %d", got)
	}
	secret.Grant(p.app)
	p.update()
	p.wantStatus(ready)
	p.wantPassword("f1rst-w0rd", "other-w0rd", "secret:"+secret.ID())

	for _, rotated := range []string{"sec0nd-w0rd", "th1rd-w0rd"} {
		seen := len(p.unit.Hooks())
		secret.Set(map[string]string{"auth-basic-password": rotated})
		p.settle()
		var names []string
		for _, hook := range p.unit.Hooks()[seen:] {
			names = append(names, hook.Name)
		}
		if !slices.Equal(names, []string{"secret-changed"}) {
			t.Errorf("a new revision has run %q", names)
		}
		p.wantStatus(ready)
		p.wantPassword(rotated, "f1rst-w0rd")
	}
	p.update()
	ran := p.unit.Hooks()
	if read := count(ran[len(ran)-1].Tools, "secret-get"); read != 1 {
		t.Errorf("a quiet hook reads the secret %d times", read)
	}

	secret.Revoke(p.app)
	p.update()
	p.wantStatus(unread("permission denied"))
	p.wantPassword("th1rd-w0rd", "f1rst-w0rd")
	secret.Remove()
	p.update()
	p.wantStatus(unread(fmt.Sprintf("secret %q not found", secret.ID())))
	p.wantPassword("th1rd-w0rd")
	p.on("rm /var/lib/juju/tools/*/secret-get")
	p.update()
	p.wantStatus(`blocked: Invalid charm config: option "auth-basic-password": names a secret, and this unit can read none: options name secrets from Juju 3.3 on; set the value itself`)
	p.wantPassword("th1rd-w0rd")

	p.wantConstant(w)
	p.noFailure(hooks)
	p.must(script.Conceals(p.ctx, p.unit, "f1rst-w0rd", "sec0nd-w0rd", "th1rd-w0rd"))
}

func count(all []string, one string) int {
	n := 0
	for _, each := range all {
		if each == one {
			n++
		}
	}
	return n
}

// TestCertificateInASecret has a certificate and its key in one secret, as PEM, and renews both at once:
// at no time is there one without the other.
func TestCertificateInASecret(t *testing.T) {
	p := deployed(t, map[string]string{"registry-runtime": "native"})
	hooks := len(p.unit.Hooks())
	first, second := makeCertificates(t), makeCertificates(t)
	secret := p.model.AddSecret(map[string]string{"tls-cert-blob": first.cert, "tls-key-blob": first.key})
	secret.Grant(p.app)
	uri := "secret:" + secret.ID()
	p.set(map[string]string{"tls-cert-blob": uri, "tls-key-blob": uri, "tls-min-version": "1.3"})
	p.settle()
	ready := "active: Ready at " + p.machine.Address() + ":5000 (https)."
	p.wantStatus(ready)
	p.wantCertificate(first.cert)
	secret.Set(map[string]string{"tls-cert-blob": second.cert, "tls-key-blob": second.key})
	p.settle()
	p.wantStatus(ready)
	p.wantCertificate(second.cert)
	secret.Set(map[string]string{"tls-cert-blob": first.cert, "tls-key-blob": second.key})
	p.settle()
	p.wantStatus(`blocked: Invalid charm config: option "tls-key-blob": cannot be used with the certificate: private key does not match public key`)
	p.wantCertificate(second.cert)
	p.noFailure(hooks)
	p.must(script.Conceals(p.ctx, p.unit, strings.Split(first.key, "\n")[1], strings.Split(second.key, "\n")[1]))
}

// wantCertificate wants the registry to serve a certificate, over TLS 1.3 alone.
func (p *place) wantCertificate(want string) {
	p.t.Helper()
	connection, err := p.machine.Dial(p.ctx, "tcp", "127.0.0.1:5000")
	p.must(err)
	speaking := tls.Client(connection, &tls.Config{InsecureSkipVerify: true}) // it is compared instead
	p.must(speaking.HandshakeContext(p.ctx))
	served := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: speaking.ConnectionState().PeerCertificates[0].Raw})
	if string(served) != want {
		p.t.Errorf("the registry serves\n%s\nwant\n%s", served, want)
	}
	p.must(speaking.Close())
	connection, err = p.machine.Dial(p.ctx, "tcp", "127.0.0.1:5000")
	p.must(err)
	if err := tls.Client(connection, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}).HandshakeContext(p.ctx); err == nil {
		p.t.Error("TLS 1.2 is answered")
	}
	p.must(connection.Close())
}
