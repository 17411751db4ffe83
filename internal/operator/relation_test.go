package operator

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/relation"
)

// related is a unit that is related to a provider of certificates.
func related(t *testing.T) world {
	t.Helper()
	w := fresh(t)
	w.unit.relations = map[string][]relation.Relation{
		certificates: {{ID: "cert-provider:1", Application: "easyrsa"}},
		peers:        {{ID: "peer:0"}},
	}
	return w
}

// csr is the request that the unit tells its provider.
func csr(t *testing.T, w world) *x509.CertificateRequest {
	t.Helper()
	var requests []struct {
		CSR string `json:"certificate_signing_request"`
		CA  *bool  `json:"ca"`
	}
	text := w.unit.relations[certificates][0].Own["certificate_signing_requests"]
	if err := json.Unmarshal([]byte(text), &requests); err != nil || len(requests) != 1 || requests[0].CA == nil || *requests[0].CA {
		t.Fatalf("requests %s, %v", text, err)
	}
	block, _ := pem.Decode([]byte(requests[0].CSR))
	if block == nil {
		t.Fatalf("no PEM: %s", requests[0].CSR)
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := request.CheckSignature(); err != nil {
		t.Error(err)
	}
	return request
}

func TestConvergeAsksForACertificate(t *testing.T) {
	w := related(t)
	w.converge(t)
	first := csr(t, w)
	var addresses []string
	for _, address := range first.IPAddresses {
		addresses = append(addresses, address.String())
	}
	if diff := cmp.Diff([]string{"10.0.0.5", "127.0.0.1", "203.0.113.5"}, addresses); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"juju-machine", "localhost"}, first.DNSNames); diff != "" || first.Subject.CommonName != "10.0.0.5" {
		t.Errorf("%s %s", first.Subject, diff)
	}
	unique := func(request *x509.CertificateRequest) string {
		for _, name := range request.Subject.Names {
			if name.Type.Equal(uniqueIdentifier) {
				return fmt.Sprint(name.Value)
			}
		}
		t.Error("the request has no unique identifier")
		return ""
	}
	w.unit.did, w.machine.did = nil, nil
	w.converge(t)
	if len(w.unit.did)+len(w.machine.did) > 0 {
		t.Errorf("the second time: %v %v", w.unit.did, w.machine.did)
	}

	w.unit.options["http-host"] = "https://registry.example.com"
	w.converge(t)
	second := csr(t, w)
	if !slices.Contains(second.DNSNames, "registry.example.com") || unique(second) == unique(first) {
		t.Errorf("names %v, identifiers %s and %s", second.DNSNames, unique(first), unique(second))
	}
	if cmp.Equal(first.RawSubjectPublicKeyInfo, second.RawSubjectPublicKeyInfo) {
		t.Error("another request has the same key")
	}

	w.unit.relations[certificates] = nil
	w.converge(t)
	if w.machine.records[requestRecord] != "" || w.machine.records[issuedRecord] != "" {
		t.Errorf("records are left: %v", w.machine.records)
	}
}

// TestARequestIsKnownBeforeItIsTold is about a hook that fails between the two.
func TestARequestIsKnownBeforeItIsTold(t *testing.T) {
	w := related(t)
	w.docker.fail = errors.New("disk on fire")
	if err := w.Converge(t.Context()); err == nil {
		t.Fatal("the hook did not fail")
	}
	asked := csr(t, w)
	w.docker.fail = nil
	// Juju forgets what a failed hook told.
	w.unit.relations[certificates][0].Own = nil
	w.converge(t)
	if again := csr(t, w); !cmp.Equal(again.Raw, asked.Raw) {
		t.Error("another request was made")
	}
}

func TestRecordsThatCannotBeReadAreForgotten(t *testing.T) {
	w := related(t)
	w.machine.records[requestRecord], w.machine.records[issuedRecord] = "{", `{"chain": "x", "relation": "cert-provider:1"}`
	w.converge(t)
	csr(t, w)
}

// library is registries that have images, and the unit's own.
type library struct {
	elsewhere, own map[string]bool
	took           []string
}

func (l *library) Has(_ context.Context, _ Access, repository, tag string) (bool, error) {
	return l.own[repository+":"+tag], nil
}

func (l *library) Take(_ context.Context, _ Access, image, repository, tag string, _ func(string)) error {
	if !l.elsewhere[image] {
		return fmt.Errorf("cannot pull %s: not found", image)
	}
	l.took = append(l.took, image)
	l.own[repository+":"+tag] = true
	return nil
}

func TestConvergeTakesInWhatClientsAskFor(t *testing.T) {
	for _, test := range []struct {
		name      string
		asked     relation.Bag
		options   map[string]any
		own       string // a tag that the registry has
		want      relation.Bag
		took      []string
		wantNotes string
	}{
		{name: "nothing", asked: relation.Bag{"ingress-address": "10.0.0.7"}},
		{name: "an image", asked: relation.Bag{"image": `"nginx"`, "tag": `"1.25"`},
			want: relation.Bag{"image": `"library/nginx"`, "tag": `"1.25"`}, took: []string{"docker.io/library/nginx:1.25"}},
		{name: "of another registry, with its tag", asked: relation.Bag{"image": "ghcr.io/a/b:2"},
			want: relation.Bag{"image": `"a/b"`, "tag": `"2"`}, took: []string{"ghcr.io/a/b:2"}},
		{name: "one that is there", asked: relation.Bag{"image": "ghcr.io/away/c"}, own: "away/c:latest",
			want: relation.Bag{"image": `"away/c"`, "tag": `"latest"`}},
		{name: "one that is nowhere", asked: relation.Bag{"image": "ghcr.io/away/c"},
			wantNotes: `Image "ghcr.io/away/c", which worker/3 asks for, cannot be taken in: cannot pull ghcr.io/away/c:latest: not found.`},
		{name: "by digest", asked: relation.Bag{"image": "a/b@sha256:" + strings.Repeat("a", 64)},
			wantNotes: `Image "a/b@sha256:` + strings.Repeat("a", 64) + `", which worker/3 asks for, cannot be taken in: it must be named by a tag, not by a digest.`},
		{name: "no name", asked: relation.Bag{"image": "A B"},
			wantNotes: `Image "A B", which worker/3 asks for, cannot be taken in: it must be a name such as ubuntu:24.04.`},
		{name: "read-only", asked: relation.Bag{"image": "nginx:1.25"}, options: map[string]any{"storage-read-only": true},
			wantNotes: `Image "nginx:1.25", which worker/3 asks for, cannot be taken in: registry takes no pushes: option "storage-read-only" is on; set it to false first.`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := fresh(t)
			for option, value := range test.options {
				w.unit.options[option] = value
			}
			w.unit.relations = map[string][]relation.Relation{clients: {{
				ID: "docker-registry:3", Units: map[string]relation.Bag{"worker/3": test.asked},
			}}}
			images := &library{
				elsewhere: map[string]bool{"docker.io/library/nginx:1.25": true, "ghcr.io/a/b:2": true},
				own:       map[string]bool{test.own: true},
			}
			w.Images = images
			message := w.converge(t).Message
			if _, notes, _ := strings.Cut(message, "tls-key-blob. "); notes != test.wantNotes {
				t.Errorf("notes %q, want %q", notes, test.wantNotes)
			}
			own := w.unit.relations[clients][0].Own
			for _, key := range []string{"image", "tag"} {
				if own[key] != test.want[key] {
					t.Errorf("%s is answered with %q, want %q", key, own[key], test.want[key])
				}
			}
			if diff := cmp.Diff(test.took, images.took); diff != "" {
				t.Errorf("taken in (-want +got):\n%s", diff)
			}
			if pending := w.machine.records[pendingRecord] != ""; pending != (test.wantNotes != "") {
				t.Errorf("pending %v", pending)
			}
			w.unit.did = nil
			w.converge(t)
			if slices.Contains(w.unit.did, "tell docker-registry:3") || len(images.took) > len(test.took) {
				t.Errorf("the second time: %v, %v", w.unit.did, images.took)
			}
		})
	}
}
