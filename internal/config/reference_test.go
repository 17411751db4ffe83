package config

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	oneURI = "secret:cr2b8ke5v7qc7ahm2pl0"
	// otherURI is how a databag names a secret, and a model another model's.
	otherURI = "secret://5f0d3c6e-7c2c-4d23-8bd4-2f4d3c8ea2a0/cr2b8ke5v7qc7ahm2pl1"
)

func TestReferences(t *testing.T) {
	got, err := References(with(t, Options{
		"auth-basic-password": oneURI, "storage-s3-secretkey": " " + otherURI + "\n", "cache-password": "hunter2",
		"log-level": oneURI, "http_proxy": "secret:/cr2b8ke5v7qc7ahm2pl0",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []Reference{
		{"auth-basic-password", oneURI}, {"http_proxy", "secret:/cr2b8ke5v7qc7ahm2pl0"}, {"storage-s3-secretkey", otherURI},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[0].ID() != "cr2b8ke5v7qc7ahm2pl0" || got[1].ID() != got[0].ID() || got[2].ID() != "cr2b8ke5v7qc7ahm2pl1" {
		t.Errorf("IDs %q, %q, %q", got[0].ID(), got[1].ID(), got[2].ID())
	}
}

// TestReferencesAreNotPasswords is about a name in place of an ID, an ID cut short, and
// what is no ID at all.
func TestReferencesAreNotPasswords(t *testing.T) {
	for _, text := range []string{"secret:registry", "secret:cr2b8ke5v7qc7ahm2pl", "secret:hunter2", "secret:"} {
		_, err := References(Options{"auth-basic-password": text, "cache-password": "x", "storage-swift-password": text})
		const fault = `begins like the URI of a secret, but is none: type "secret:" and the ID of 20 characters that "juju secrets" shows; put a value that begins so into a secret`
		want := `option "auth-basic-password": ` + fault + `; option "storage-swift-password": ` + fault
		if got := fmt.Sprint(err); got != want {
			t.Errorf("%s: error is\n  %s\nwant\n  %s", text, got, want)
		}
	}
}

// TestEveryReferringOptionIsASecret holds that the list names options that there are, and
// that their descriptions tell of secrets.
func TestEveryReferringOptionIsASecret(t *testing.T) {
	declared := declarations(t)
	for _, name := range referring() {
		// These say that they are like their neighbours.
		if slices.Contains([]string{"https_proxy", "registry-https-proxy", "tls-ca-blob", "tls-cert-blob"}, name) {
			continue
		}
		if !strings.Contains(declared[name].Description, "Juju secret") {
			t.Errorf("the description of option %q does not say that it can name a secret", name)
		}
	}
	if !slices.IsSorted(referring()) {
		t.Error("the options are not sorted")
	}
}

func contentOf(values map[string]string) map[string]Secret {
	content := map[string]Secret{}
	for key, value := range values {
		content[key] = NewSecret(value)
	}
	return content
}

func TestResolve(t *testing.T) {
	const pem = "-----BEGIN PRIVATE KEY-----\nZm9v\n-----END PRIVATE KEY-----\n"
	for _, test := range []struct {
		name, option string
		content      map[string]string
		want         any
	}{
		{"the key of that name", "auth-basic-password", map[string]string{"auth-basic-password": "hunter2", "cache-password": "x"}, "hunter2"},
		{"the only key", "auth-basic-password", map[string]string{"token": "hunter2"}, "hunter2"},
		{"a name that no key can have", "http_proxy", map[string]string{"http-proxy": "http://p:1", "https-proxy": "x"}, "http://p:1"},
		{"PEM", "tls-key-blob", map[string]string{"tls-key-blob": pem, "tls-cert-blob": "x"}, base64.StdEncoding.EncodeToString([]byte(pem))},
		{"PEM in base64", "tls-key-blob", map[string]string{"tls-key-blob": "LS0tLS1C"}, "LS0tLS1C"},
		{"users", "auth-users", map[string]string{"bob": "hunter2"}, contentOf(map[string]string{"bob": "hunter2"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := Options{test.option: oneURI, "log-level": "info"}
			got, err := Resolve(options, []Reference{{test.option, oneURI}}, map[string]map[string]Secret{oneURI: contentOf(test.content)})
			if err != nil {
				t.Fatal(err)
			}
			want := Options{test.option: test.want, "log-level": "info"}
			if diff := cmp.Diff(want, got, cmp.Comparer(Secret.Equal)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if options[test.option] != oneURI {
				t.Error("the options that were given are changed")
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		content map[string]string
		want    string
	}{
		{"other keys", map[string]string{"password": "hunter2", "old": "hunter2"},
			`option "cache-password": names secret cr2b8ke5v7qc7ahm2pl0, of whose keys (old, password) none is "cache-password"; name one so, or keep the value in a secret with one key`},
		{"empty", map[string]string{"cache-password": ""},
			`option "cache-password": names secret cr2b8ke5v7qc7ahm2pl0, whose value is empty; type "juju update-secret cr2b8ke5v7qc7ahm2pl0 cache-password=VALUE", or reset the option`},
	} {
		_, err := Resolve(Options{"cache-password": oneURI}, []Reference{{"cache-password", oneURI}}, map[string]map[string]Secret{oneURI: contentOf(test.content)})
		if got := fmt.Sprint(err); got != test.want {
			t.Errorf("%s: error is\n  %s\nwant\n  %s", test.name, got, test.want)
		}
	}
}

// TestResolvedIsParsed holds that an option means the same whichever way its value came.
func TestResolvedIsParsed(t *testing.T) {
	typed := with(t, Options{"auth-basic-password": "hunter2", "auth-users": "ci: builds\nbob: hunter2\n"})
	named := maps.Clone(typed)
	named["auth-basic-password"], named["auth-users"] = oneURI, otherURI
	references, err := References(named)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := Resolve(named, references, map[string]map[string]Secret{
		oneURI:   contentOf(map[string]string{"anything": "hunter2"}),
		otherURI: contentOf(map[string]string{"bob": "hunter2", "ci": "builds"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	want, wantErr := Parse(typed)
	got, gotErr := Parse(resolved)
	if wantErr != nil || gotErr != nil {
		t.Fatal(wantErr, gotErr)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(Secret.Equal)); diff != "" {
		t.Errorf("typed (-) and named (+) differ:\n%s", diff)
	}
}
