package desired

import (
	"path"
	"testing"

	"docker-registry-operator/internal/relation"
)

// FuzzAnswers holds that nothing that a neighbour says makes a decision fail or takes the
// certificate away that is served.
func FuzzAnswers(f *testing.F) {
	f.Add("certificates", `[{"certificate":"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----","certificate_signing_request":"csr","ca":"","chain":[]}]`)
	f.Add("docker-registry_0.server.cert", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----")
	f.Add("docker-registry_0.processed_requests", `{"10.0.0.5":{"cert":"a","key":"b"}}`)
	f.Add("ingress-address", "[::1]:80/..")
	f.Add("address", "a\n- b")
	f.Add("nagios_hostname", "../x")
	f.Add("image", `"a/b:1"`)
	a := newHierarchy(f, 900)
	f.Fuzz(func(t *testing.T, key, value string) {
		in := asking(a.leaf.key)
		in.Relations.Certificates[0].App = a.signed(t, false)
		in.Facts.Issued = decide(t, in).Issued
		in.Facts.Leader, in.Facts.Checks, in.Facts.Exports = true, true, true

		bag := relation.Bag{key: value, "ca": value, "docker-registry_0.server.key": a.leaf.key}
		odd := relation.Relation{ID: "cert-provider:1", Application: "odd", Own: bag, App: bag, Units: map[string]relation.Bag{"odd/0": bag, key: bag}}
		in.Relations = Relations{
			Certificates: []relation.Relation{odd}, Websites: []relation.Relation{odd}, Clients: []relation.Relation{odd},
			Monitors: []relation.Relation{odd}, Peers: []relation.Relation{odd},
		}
		MustAsk(in)
		Requests(in)
		state := decide(t, in)
		if !state.Workload.TLS || string(state.Issued.Certificate.Chain) != a.leaf.text+a.middle.text {
			t.Error("the certificate that is served is gone")
		}
		for _, file := range state.Files {
			if path.Clean(file.Path) != file.Path {
				t.Errorf("a file at %q", file.Path)
			}
		}
	})
}
