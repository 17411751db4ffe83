package desired

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/relation"
)

// signer is a certificate with its key, which may sign others.
type signer struct {
	text   string
	key    string
	parsed *x509.Certificate
	signs  *ecdsa.PrivateKey
}

// issue makes a certificate that ends so many days after 2026-01-01, by an authority or,
// for nil, by itself.
func issue(t testing.TB, name string, authority *signer, isCA bool, days int) signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(0, 0, -100), NotAfter: now.AddDate(0, 0, days),
		IsCA: isCA, BasicConstraintsValid: true,
	}
	parent, by := template, private
	if authority != nil {
		parent, by = authority.parsed, authority.signs
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer{
		text: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), parsed: parsed, signs: private,
		key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	}
}

// hierarchy is a root, one below it, and a leaf of the latter.
type hierarchy struct{ root, middle, leaf signer }

func newHierarchy(t testing.TB, days int) hierarchy {
	t.Helper()
	root := issue(t, "root", nil, true, 3650)
	middle := issue(t, "middle", &root, true, 3650)
	return hierarchy{root, middle, issue(t, "10.0.0.5", &middle, false, days)}
}

// asking is a unit whose request has that key, with a provider that has not answered.
func asking(key string) Input {
	in := input()
	in.Facts.Public, in.Facts.Hostname = "203.0.113.5", "juju-machine"
	in.Relations.Certificates = []relation.Relation{{ID: "cert-provider:1", Application: "easyrsa"}}
	name, sans, _ := Names(in)
	in.Facts.Request = &CertificateRequest{CommonName: name, SANs: sans, CSR: "csr", Key: config.NewSecret(key)}
	return in
}

// signed is an answer of version 1, and made one of version 0.
func (a hierarchy) signed(t *testing.T, revoked bool) relation.Bag {
	t.Helper()
	text, err := json.Marshal([]map[string]any{{
		"certificate": a.leaf.text, "certificate_signing_request": "csr", "ca": a.middle.text,
		"chain": []string{a.leaf.text, a.middle.text, a.root.text}, "revoked": revoked,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return relation.Bag{"certificates": string(text)}
}

func (a hierarchy) made() map[string]relation.Bag {
	return map[string]relation.Bag{"easyrsa/0": {
		"ca": a.root.text, "chain": a.middle.text,
		"docker-registry_0.server.cert": a.leaf.text, "docker-registry_0.server.key": a.leaf.key,
	}}
}

func TestNames(t *testing.T) {
	in := asking("")
	in.Facts.Addresses = []string{"10.0.0.5", "fd00::5"}
	in.Relations.Websites = behind("10.0.0.9")
	in.Config.HTTP.Host = config.URL{Scheme: "https", Netloc: "[fd00::1]:8443"}
	name, sans, wanted := Names(in)
	want := []string{"10.0.0.5", "10.0.0.9", "127.0.0.1", "203.0.113.5", "fd00::1", "fd00::5", "juju-machine", "localhost"}
	if diff := cmp.Diff(want, sans); diff != "" || name != "10.0.0.5" || !wanted {
		t.Errorf("%q, %v (-want +got):\n%s", name, wanted, diff)
	}
	in.Relations.Certificates = nil
	if _, _, wanted := Names(in); wanted {
		t.Error("names for nobody to ask")
	}
}

func TestAnswersAreServed(t *testing.T) {
	a, b := newHierarchy(t, 900), newHierarchy(t, 900)
	expired := newHierarchy(t, -1)
	foreign := a
	foreign.middle, foreign.root = b.middle, b.root
	const ready = "Ready at 10.0.0.5:5000 (https)."
	for _, test := range []struct {
		name       string
		change     func(in *Input)
		wantChain  string
		wantCA     string
		wantStatus string
	}{
		{"none", func(*Input) {}, "", "", "Ready at 10.0.0.5:5000 (http). Waiting for a certificate from easyrsa."},
		{"version 1", func(in *Input) { in.Relations.Certificates[0].App = a.signed(t, false) }, a.leaf.text + a.middle.text, a.root.text, ready},
		{"version 0", func(in *Input) { in.Relations.Certificates[0].Units = a.made() }, a.leaf.text + a.middle.text, a.root.text, ready},
		{"version 0 with the chain of another authority", func(in *Input) {
			in.Relations.Certificates[0].Units = map[string]relation.Bag{"easyrsa/0": {
				"ca": a.middle.text, "chain": b.middle.text + b.root.text,
				"docker-registry_0.server.cert": a.leaf.text, "docker-registry_0.server.key": a.leaf.key,
			}}
		}, a.leaf.text, a.middle.text, ready},
		{"version 1 before 0, though of a later relation", func(in *Input) {
			in.Relations.Certificates[0].Units = b.made()
			in.Relations.Certificates = append(in.Relations.Certificates, relation.Relation{ID: "cert-provider:7", Application: "ssc", App: a.signed(t, false)})
		}, a.leaf.text + a.middle.text, a.root.text, ready},
		{"one of two answers", func(in *Input) {
			in.Relations.Certificates = append(in.Relations.Certificates, relation.Relation{ID: "cert-provider:7", Application: "vault", Units: b.made()})
		}, b.leaf.text + b.middle.text, b.root.text, ready},
		{"a key that does not fit", func(in *Input) { in.Relations.Certificates[0].App = b.signed(t, false) }, "", "",
			"Ready at 10.0.0.5:5000 (http). The certificate from easyrsa is not used: its key cannot be used with the certificate: private key does not match public key."},
		{"of an authority that it does not name", func(in *Input) { in.Relations.Certificates[0].Units = foreign.made() }, "", "",
			"Ready at 10.0.0.5:5000 (http). The certificate from easyrsa is not used: it is not signed by the authority that came with it."},
		{"garbage", func(in *Input) { in.Relations.Certificates[0].App = relation.Bag{"certificates": "x"} }, "", "",
			"Ready at 10.0.0.5:5000 (http). The certificate from easyrsa is not used: what it says cannot be understood."},
		{"no PEM", func(in *Input) {
			in.Relations.Certificates[0].Units = a.made()
			in.Relations.Certificates[0].Units["easyrsa/0"]["docker-registry_0.server.cert"] = "x"
		}, "", "", "Ready at 10.0.0.5:5000 (http). The certificate from easyrsa is not used: its certificate must be PEM, starting with -----BEGIN CERTIFICATE-----."},
		{"an authority's own", func(in *Input) {
			in.Relations.Certificates[0].Units = map[string]relation.Bag{"easyrsa/0": {
				"ca": a.root.text, "docker-registry_0.server.cert": a.middle.text, "docker-registry_0.server.key": a.middle.key,
			}}
		}, "", "", "Ready at 10.0.0.5:5000 (http). The certificate from easyrsa is not used: it is that of an authority."},
		{"revoked", func(in *Input) { in.Relations.Certificates[0].App = a.signed(t, true) }, "", "",
			"Ready at 10.0.0.5:5000 (http). easyrsa revoked the certificate; waiting for another."},
		{"expired, and nothing better", func(in *Input) { in.Relations.Certificates[0].Units = expired.made() }, expired.leaf.text + expired.middle.text, expired.root.text,
			ready + " The certificate has expired; replace it, clients refuse it."},
		{"options", func(in *Input) {
			in.Relations.Certificates[0].Units = a.made()
			cert, err := config.ParseCertificate([]byte(b.leaf.text), []byte(b.leaf.key), []byte(b.root.text))
			if err != nil {
				t.Fatal(err)
			}
			in.Config.TLS.Blobs = &cert
		}, b.leaf.text, b.root.text, ready + " TLS is from the options; cert-provider is not used."},
		{"before files", func(in *Input) {
			in.Facts.Files = secured(t, 2040).Facts.Files
			in.Relations.Certificates[0].Units = a.made()
		}, a.leaf.text + a.middle.text, a.root.text, ready},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := asking(a.leaf.key)
			in.Relations.Clients = []relation.Relation{{ID: "docker-registry:3"}}
			test.change(&in)
			state := decide(t, in)
			chain := ""
			if i := slices.IndexFunc(state.Files, func(f File) bool { return f.Path == "/etc/docker/registry/tls/registry.pem" }); i >= 0 {
				chain = string(state.Files[i].Content)
			}
			if chain != test.wantChain {
				t.Errorf("serves\n%s, want\n%s", chain, test.wantChain)
			}
			ca, err := json.Marshal(test.wantCA)
			if err != nil || test.wantCA == "" {
				ca = []byte("null")
			}
			if got := told(t, state, "docker-registry:3")["tls_ca"]; got != string(ca) {
				t.Errorf("clients are told to trust\n%s, want\n%s", got, ca)
			}
			in.Relations.Clients = nil
			if got := decide(t, in).Status.Message; got != test.wantStatus {
				t.Errorf("status %q, want %q", got, test.wantStatus)
			}
		})
	}
}

// TestWhatServesOutlivesBadAnswers is about a provider that says something else than
// before: its last good certificate stays, as long as the relation does.
func TestWhatServesOutlivesBadAnswers(t *testing.T) {
	a, b := newHierarchy(t, 900), newHierarchy(t, -1)
	in := asking(a.leaf.key)
	in.Relations.Certificates[0].App = a.signed(t, false)
	kept := decide(t, in).Issued
	if kept == nil || kept.Relation != "cert-provider:1" || kept.Version != 1 {
		t.Fatalf("kept %v", kept)
	}
	in.Facts.Issued = kept
	for name, answer := range map[string]relation.Relation{
		"Ready at 10.0.0.5:5000 (https). Waiting for a certificate from easyrsa.":                                      {},
		"Ready at 10.0.0.5:5000 (https). The certificate from easyrsa is not used: what it says cannot be understood.": {App: relation.Bag{"certificates": "{"}},
		"Ready at 10.0.0.5:5000 (https). easyrsa revoked the certificate; waiting for another.":                        {App: a.signed(t, true)},
		"Ready at 10.0.0.5:5000 (https). The certificate from easyrsa is not used: it has expired.":                    {Units: b.made()},
	} {
		answer.ID, answer.Application = "cert-provider:1", "easyrsa"
		in.Relations.Certificates[0] = answer
		state := decide(t, in)
		if !state.Workload.TLS || state.Issued == nil || string(state.Issued.Certificate.Chain) != a.leaf.text+a.middle.text {
			t.Errorf("%s: the certificate is gone", name)
		}
		if state.Status.Message != name {
			t.Errorf("status %q, want %q", state.Status.Message, name)
		}
	}
	in.Facts.Request.CSR = "another, since it was revoked"
	in.Relations.Certificates[0] = relation.Relation{ID: "cert-provider:1", Application: "easyrsa", App: a.signed(t, true)}
	if got := decide(t, in).Status.Message; !strings.HasSuffix(got, "easyrsa revoked the certificate; waiting for another.") {
		t.Errorf("status %q", got)
	}
	in.Relations.Certificates[0].ID = "cert-provider:9"
	if decide(t, in).Workload.TLS {
		t.Error("a certificate outlives its relation")
	}
}

func TestMustAsk(t *testing.T) {
	a := newHierarchy(t, 10)
	for _, test := range []struct {
		name   string
		change func(in *Input)
		want   bool
	}{
		{"asked", func(*Input) {}, false},
		{"nobody to ask", func(in *Input) { in.Relations.Certificates, in.Facts.Request = nil, nil }, false},
		{"never asked", func(in *Input) { in.Facts.Request = nil }, true},
		{"another name", func(in *Input) { in.Relations.Websites = behind("10.0.0.9") }, true},
		{"another address", func(in *Input) { in.Facts.Addresses = []string{"10.0.0.6"} }, true},
		{"without the machine's own names", func(in *Input) {
			in.Facts.Request.SANs = []string{"juju-machine", "203.0.113.5", "10.0.0.5", "10.0.0.5"}
		}, false},
		{"answered", func(in *Input) { in.Relations.Certificates[0].App = a.signed(t, false) }, true},
		{"answered, and just asked", func(in *Input) {
			in.Relations.Certificates[0].App = a.signed(t, false)
			in.Facts.Request.Asked = in.Facts.Now - 3600
		}, false},
		{"answered, with most of its time left", func(in *Input) {
			in.Relations.Certificates[0].App = a.signed(t, false)
			in.Facts.Now -= 10 * 24 * 3600
		}, false},
		{"version 0, which renews by itself", func(in *Input) { in.Relations.Certificates[0].Units = a.made() }, false},
		{"revoked", func(in *Input) { in.Relations.Certificates[0].App = a.signed(t, true) }, true},
	} {
		in := asking(a.leaf.key)
		test.change(&in)
		if got := MustAsk(in); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// TestRequestsKeepWhatWasAsked is about a unit of the charm that this one replaces: its
// provider must not issue anew because of the refresh.
func TestRequestsKeepWhatWasAsked(t *testing.T) {
	in := asking("")
	in.Relations.Certificates[0].Own = relation.Bag{
		"unit_name": "docker-registry_0", "common_name": "10.0.0.5", "certificate_name": "docker-registry_0",
		"sans": `["10.0.0.5", "203.0.113.5", "juju-machine"]`,
	}
	changes := Requests(in)[0].Changes()
	if len(changes) != 1 || changes["certificate_signing_requests"] == "" {
		t.Errorf("changes %v", changes)
	}
	in.Relations.Certificates[0].Own["sans"] = `["10.0.0.6"]`
	if got := Requests(in)[0].Changes()["sans"]; got != `["10.0.0.5", "127.0.0.1", "203.0.113.5", "juju-machine", "localhost"]` {
		t.Errorf("sans %s", got)
	}
}

// TestClientCertificatesWaitForAProvider is about a registry that must not be open before
// it can ask its clients for certificates.
func TestClientCertificatesWaitForAProvider(t *testing.T) {
	in := asking("")
	in.Config.TLS.Clients = &config.ClientAuth{CA: []byte("ca"), Required: true}
	const want = `waiting for a certificate from easyrsa, which option "tls-client-ca" needs`
	if _, err := For(in); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if len(Requests(in)) != 1 {
		t.Error("nobody is asked")
	}
}
