package registryd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOddPathsAsStock asks for what is no pull, or tries to leave the storage.
func TestOddPathsAsStock(t *testing.T) {
	p := newPulled(t, sections{})
	digest := p.blob("app", []byte("hello"))
	p.blob("a/blobs/b", []byte("hello"))
	if err := os.WriteFile(filepath.Join(p.dir, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	var rows []asked
	for _, name := range []string{
		"..", "../app", "app/..", "app/../app", ".", "_layers", "app/_manifests", "app/.hidden", "App", "-app", "app-", "a__b_c", "a..b",
		"a___b", "a_-b", "app%00", "app%2e%2e", "..%2fapp", "app/", "/app", "app\\x", "", strings.Repeat("a", 256), "app;x", "app%20x",
	} {
		legal := name == "a__b_c"
		rows = append(rows, asked{"name " + name, "/v2/" + name + "/blobs/" + digest, nil, legal})
	}
	for _, reference := range []string{"..", ".", "-x", "%2e%2e", "..%2f..%2fsecret", "a%2fb", "a%00", "", strings.Repeat("t", 129), "x:y", "a%20b"} {
		rows = append(rows, asked{"tag " + reference, "/v2/app/manifests/" + reference, nil, false},
			asked{"blob " + reference, "/v2/app/blobs/" + reference, nil, false})
	}
	p.compare(append(rows,
		asked{"names of the API", "/v2/a/blobs/b/blobs/" + digest, nil, true},
		asked{"slash at the end", "/v2/app/blobs/" + digest + "/", nil, false},
		asked{"two slashes", "/v2//app/blobs/" + digest, nil, false},
		asked{"base", "/v2/", nil, false}, asked{"tags", "/v2/app/tags/list", nil, false},
		asked{"no version", "/v1/app/blobs/" + digest, nil, false},
	))
}

// TestPrefix serves below another path.
func TestPrefix(t *testing.T) {
	p := newPulled(t, sections{http: ", prefix: /images/"})
	rows := []asked{
		{"below", "/images/v2/app/blobs/" + absentDigest, nil, true},
		{"beside", "/v2/app/blobs/" + absentDigest, nil, false},
		{"almost", "/imagesv2/app/blobs/" + absentDigest, nil, false},
	}
	p.compare(rows)
}

// TestRightsAsStock asks without credentials and with them.
func TestRightsAsStock(t *testing.T) {
	p := newPulled(t, sections{more: "auth: {silly: {realm: r, service: s}}\n"})
	for _, path := range []string{"/v2/app/blobs/" + absentDigest, "/v2/app/manifests/" + absentDigest} {
		p.compare([]asked{{"nobody " + path, path, nil, true}, {"somebody " + path, path, header("Authorization", "silly"), true}})
	}
}
