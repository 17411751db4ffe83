package relation

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
)

// request is what docker-registry/0 asks for.
func request() CertificateRequest {
	return CertificateRequest{
		Unit: "docker-registry/0", CommonName: "10.0.0.5", SANs: []string{"10.0.0.5", "localhost"},
		CSR: "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n",
	}
}

func TestRequestAsksInBothVersions(t *testing.T) {
	want := Bag{
		"unit_name": "docker-registry_0", "common_name": "10.0.0.5", "certificate_name": "docker-registry_0",
		"sans":                         `["10.0.0.5", "localhost"]`,
		"certificate_signing_requests": `[{"certificate_signing_request":"-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----","ca":false}]`,
	}
	bag := request().Bag()
	if diff := cmp.Diff(want, bag); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"10.0.0.5", "localhost"}, RequestedSANs(bag)); diff != "" {
		t.Error(diff)
	}
	KeepNames(bag, Bag{"sans": `["10.0.0.5", "10.0.0.5"]`})
	if bag["sans"] != `["10.0.0.5", "10.0.0.5"]` || bag["common_name"] != "10.0.0.5" {
		t.Errorf("names are not kept: %v", bag)
	}
}

func TestCertificateAnswers(t *testing.T) {
	const csr = `-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----`
	made := CertificateAnswer{Certificate: "cert", CA: "ca", Key: config.NewSecret("key")}
	withChain := made
	withChain.Chain = []string{"above"}
	signed := CertificateAnswer{Version: 1, Certificate: "cert1", CA: "ca1", Chain: []string{"cert1", "root"}}
	for _, test := range []struct {
		name    string
		app     Bag
		units   map[string]Bag
		want    []CertificateAnswer
		wantErr bool
	}{
		{"none", nil, nil, nil, false},
		{"version 0", nil, map[string]Bag{"easyrsa/0": {
			"ca": "ca", "docker-registry_0.server.cert": "cert", "docker-registry_0.server.key": "key",
		}}, []CertificateAnswer{made}, false},
		{"version 0 over two units, with a chain", nil, map[string]Bag{
			"vault/1": {"ca": "another", "chain": "above", "docker-registry_0.server.cert": "cert"},
			"vault/0": {"ca": "ca", "docker-registry_0.server.key": "key"},
		}, []CertificateAnswer{withChain}, false},
		{"version 0, processed", nil, map[string]Bag{"easyrsa/0": {
			"ca": "ca", "docker-registry_0.processed_requests": `{"10.0.0.5": {"cert": "cert", "key": "key"}, "other": {}}`,
		}}, []CertificateAnswer{made}, false},
		{"version 0, half", nil, map[string]Bag{"easyrsa/0": {"ca": "ca", "docker-registry_0.server.cert": "cert"}}, nil, false},
		{"version 0 without an authority", nil, map[string]Bag{"easyrsa/0": {
			"docker-registry_0.server.cert": "cert", "docker-registry_0.server.key": "key",
		}}, nil, false},
		{"version 0 for another unit", nil, map[string]Bag{"easyrsa/0": {
			"ca": "ca", "docker-registry_1.server.cert": "cert", "docker-registry_1.server.key": "key",
		}}, nil, false},
		{"version 0, garbage", nil, map[string]Bag{"easyrsa/0": {"ca": "ca", "docker-registry_0.processed_requests": "["}}, nil, true},
		{"version 1 among those of others", Bag{"certificates": `[{"certificate":"x","certificate_signing_request":"other","ca":"y"},
			{"certificate":"cert1","certificate_signing_request":"` + csr + `\n","ca":"ca1","chain":["cert1","root"]}]`}, nil,
			[]CertificateAnswer{signed}, false},
		{"version 1, revoked", Bag{"certificates": `[{"certificate":"c","certificate_signing_request":"` + csr + `","ca":"a","chain":null,"revoked":true}]`}, nil,
			[]CertificateAnswer{{Version: 1, Certificate: "c", CA: "a", Revoked: true}}, false},
		{"version 1, garbage, beside version 0", Bag{"certificates": `{"a":`}, map[string]Bag{"easyrsa/0": {
			"ca": "ca", "docker-registry_0.server.cert": "cert", "docker-registry_0.server.key": "key",
		}}, []CertificateAnswer{made}, true},
		{"version 1 of another shape", Bag{"certificates": `[{"certificate":1}]`}, nil, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := CertificateAnswers(Relation{App: test.app, Units: test.units}, request())
			if (err != nil) != test.wantErr {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(test.want, got, cmp.Comparer(config.Secret.Equal)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
