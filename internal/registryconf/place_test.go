package registryconf

import (
	"os"
	"path/filepath"
	"testing"

	"docker-registry-operator/internal/config"
)

func TestPlace(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"filesystem", `storage: {delete: {enabled: true}, filesystem: {rootdirectory: /srv/registry}}`, "/srv/registry"},
		{"filesystem without a directory", `storage: {filesystem: {}}`, "/var/lib/registry"},
		{"Amazon", `storage: {s3: {bucket: images, region: eu-central-1, secretkey: s3cret}}`, `s3 bucket "images" at eu-central-1`},
		{
			"S3 of another maker", `storage: {s3: {bucket: images, region: us-east-1, regionendpoint: "https://s3.example.com:9000/", rootdirectory: /team/a}}`,
			`s3 bucket "images" at s3.example.com:9000 below "team/a"`,
		},
		{"endpoint without a scheme", `storage: {s3: {bucket: images, regionendpoint: "s3.example.com:9000"}}`, `s3 bucket "images" at s3.example.com:9000`},
		{"endpoint with credentials", `storage: {s3: {bucket: images, regionendpoint: "https://key:s3cret@s3.example.com"}}`, `s3 bucket "images" at s3.example.com`},
		{"the same without a scheme", `storage: {s3: {bucket: images, regionendpoint: "key:s3cret@s3.example.com"}}`, `s3 bucket "images" at s3.example.com`},
		{
			"Swift", `storage: {swift: {authurl: "https://keystone.example.com:5000/v3", username: u, password: s3cret, tenant: team, region: one, container: images}}`,
			`swift container "images" of team at keystone.example.com:5000 in one`,
		},
		{
			"Swift's own authentication", `storage: {swift: {authurl: "http://swift.example.com/auth/v1.0", username: "team:u", password: s3cret, container: images, prefix: a}}`,
			`swift container "images" of team at swift.example.com below "a"`,
		},
		{"Azure", `storage: {azure: {accountname: team, accountkey: s3cret, container: images}}`, `azure container "images" of team`},
		{"memory", `storage: {inmemory: {}}`, "inmemory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := Place([]byte(test.text)); err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// TestPlaceOfEveryConfiguration reads all that the charm renders.
func TestPlaceOfEveryConfiguration(t *testing.T) {
	golden, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(golden) == 0 {
		t.Fatal(golden, err)
	}
	for _, name := range golden {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if place, err := Place(text); err != nil || place == "" {
			t.Errorf("%s: %q, %v", name, place, err)
		}
	}
}

// TestPlaceStays holds that another key, a longer chunk or a certificate that is not
// looked at are no other place.
func TestPlaceStays(t *testing.T) {
	place := func(changed config.Options) string {
		t.Helper()
		options := config.Options{"storage-s3-bucket": "images", "storage-s3-region": "eu-central-1"}
		for name, value := range changed {
			options[name] = value
		}
		text, err := Render(Input{Config: parse(t, options), Data: "/srv/registry"})
		if err != nil {
			t.Fatal(err)
		}
		found, err := Place(text)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	before := place(nil)
	for name, value := range (config.Options{"storage-s3-chunksize": 6 << 20, "storage-s3-skip-verify": true, "storage-delete": true}) {
		if after := place(config.Options{name: value}); after != before {
			t.Errorf("%s: %q became %q", name, before, after)
		}
	}
	for _, name := range []string{"storage-s3-bucket", "storage-s3-region", "storage-s3-rootdirectory"} {
		if after := place(config.Options{name: "other"}); after == before {
			t.Errorf("%s: still %q", name, after)
		}
	}
}
