package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/authority"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// signingRequest is a request as a unit should publish it.
func signingRequest(t *testing.T, name string, sans ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	names := &x509.Certificate{}
	authority.AddNames(names, sans...)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: name}, DNSNames: names.DNSNames, IPAddresses: names.IPAddresses,
	}, key)
	check(t, err)
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
}

func requests(t *testing.T, csr string, ca any) string {
	t.Helper()
	entry := map[string]any{"certificate_signing_request": csr, "ca": ca}
	if ca == nil {
		delete(entry, "ca")
	}
	text, err := json.Marshal([]any{entry})
	check(t, err)
	return string(text)
}

func TestReadRequest(t *testing.T) {
	csr := signingRequest(t, "10.0.0.5", "10.0.0.5", "localhost")
	good := map[string]string{
		"unit_name": "docker-registry_0", "certificate_name": "docker-registry_0", "common_name": "10.0.0.5",
		"sans": `["10.0.0.5", "localhost"]`, "certificate_signing_requests": requests(t, csr, false),
		"ingress-address": "10.0.0.5",
	}
	r, asked, err := readRequest(good)
	check(t, err)
	if !asked || r.unit != "docker-registry_0" || r.csr != csr {
		t.Errorf("asked %t: %+v", asked, r)
	}
	if diff := cmp.Diff([]string{"10.0.0.5"}, []string{r.parsed.IPAddresses[0].String()}); diff != "" {
		t.Error(diff)
	}
	if _, asked, err := readRequest(map[string]string{"ingress-address": "10.0.0.5"}); asked || err != nil {
		t.Errorf("a unit that asks for nothing: %t, %v", asked, err)
	}
	broken := strings.Replace(csr, csr[60:64], "AAAA", 1)
	for name, change := range map[string]map[string]string{
		"a unit's name with a slash": {"unit_name": "docker-registry/0"},
		"no certificate name":        {"certificate_name": ""},
		"no names":                   {"sans": ""},
		"names out of order":         {"sans": `["localhost", "10.0.0.5"]`},
		"a name twice":               {"sans": `["localhost", "localhost"]`},
		"names that are no list":     {"sans": "10.0.0.5"},
		"no signing request":         {"certificate_signing_requests": ""},
		"no word whether it is a CA": {"certificate_signing_requests": requests(t, csr, nil)},
		"a text for a boolean":       {"certificate_signing_requests": requests(t, csr, "false")},
		"a CA":                       {"certificate_signing_requests": requests(t, csr, true)},
		"a line break at the end":    {"certificate_signing_requests": requests(t, csr+"\n", false)},
		"a request that is broken":   {"certificate_signing_requests": requests(t, broken, false)},
		"another common name":        {"common_name": "10.0.0.6"},
		"another name":               {"sans": `["10.0.0.5", "example.com"]`},
	} {
		bag := maps.Clone(good)
		maps.Copy(bag, change)
		if _, _, err := readRequest(bag); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
