package oci

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		prefix, path string
		want         string // "" if it is for the application
	}{
		{"", "/v2/app/manifests/latest", "manifests app latest"},
		{"", "/v2/a/b/c/referrers/sha256:0", "referrers a/b/c sha256:0"},
		{"", "/v2/app/blobs/sha512:0", "blobs app sha512:0"},
		{"", "/v2/app/blobs/uploads/", "uploads app "},
		{"", "/v2/app/blobs/uploads/1-2", "uploads app 1-2"},
		{"", "/v2/blobs/uploads/manifests/v1", "manifests blobs/uploads v1"},
		{"/images/", "/images/v2/app/manifests/v1", "manifests app v1"},
		{"/images/", "/v2/app/manifests/v1", ""},
		{"", "/images/v2/app/manifests/v1", ""},
		{"", "/v2/", ""},
		{"", "/v2/_catalog", ""},
		{"", "/v2/app/tags/list", ""},
		{"", "/v2/app/uploads/1", ""},
		{"", "/v2/manifests/v1", ""},
		{"", "/v2/app/blobs/uploads/..", ""},
		{"", "/v2/App/manifests/v1", ""},
		{"", "/v2/../etc/manifests/v1", ""},
		{"", "/v2//manifests/v1", ""},
	} {
		got := ""
		if asked, ok := parse(test.prefix, test.path); ok {
			got = strings.Join([]string{string(asked.kind), asked.name.Name(), asked.reference}, " ")
		}
		if got != test.want {
			t.Errorf("%s below %q: got %q, want %q", test.path, test.prefix, got, test.want)
		}
	}
}

// FuzzParse wants names that cannot lead out of a repository's directory on storage.
func FuzzParse(f *testing.F) {
	f.Add("/v2/a/b/blobs/uploads/x")
	f.Add("/v2/a/../referrers/sha256:0")
	f.Fuzz(func(t *testing.T, path string) {
		asked, ok := parse("", path)
		if !ok {
			return
		}
		for _, element := range strings.Split(asked.name.Name(), "/") {
			if element == "" || strings.HasPrefix(element, ".") || strings.HasPrefix(element, "_") {
				t.Errorf("name %q", asked.name)
			}
		}
		if strings.Contains(asked.reference, "/") || asked.reference == ".." {
			t.Errorf("reference %q", asked.reference)
		}
	})
}
