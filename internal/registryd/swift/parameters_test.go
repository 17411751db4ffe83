package swift

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func section(further map[string]any) map[string]any {
	parameters := map[string]any{
		"authurl": "https://keystone.example.com/v3", "username": "registry", "password": "s3cret", "container": "images",
	}
	for key, value := range further {
		parameters[key] = value
	}
	return parameters
}

func TestParse(t *testing.T) {
	got, err := Parse(section(map[string]any{
		"tenant": 12345, "domain": "Default", "region": "one", "authversion": "3", "chunksize": 5 << 20, "prefix": "/a/b/",
		"insecureskipverify": true,
	}))
	check(t, err)
	want := Parameters{
		AuthURL: "https://keystone.example.com/v3", Username: "registry", Password: "s3cret", Container: "images",
		Tenant: "12345", Domain: "Default", Region: "one", AuthVersion: 3, ChunkSize: 5 << 20, Prefix: "a/b",
		InsecureSkipVerify: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct {
		further map[string]any
		want    string
	}{
		{map[string]any{"authurl": ""}, "storage.swift.authurl must be set"},
		{map[string]any{"password": ""}, "storage.swift.password must be set"},
		{map[string]any{"container": "a/b"}, "storage.swift.container must be a name without slashes"},
		{map[string]any{"chunksize": 1}, "storage.swift.chunksize must be from 1048576 to 5368709120 bytes"},
		{map[string]any{"authversion": 4}, "storage.swift.authversion must be 1, 2 or 3"},
		{map[string]any{"endpointtype": "secret"}, "storage.swift.endpointtype must be public, internal or admin"},
	} {
		_, err := Parse(section(test.further))
		if err == nil || err.Error() != test.want {
			t.Errorf("%v: %v, want %s", test.further, err, test.want)
		}
	}
}

// A mistake is named, and what stands there is not.
func TestParseTellsNoSecret(t *testing.T) {
	for _, further := range []map[string]any{
		{"passwort": "s3cret"},
		{"chunksize": "s3cret"},
		{"password": map[string]any{"s3cret": "s3cret"}},
	} {
		_, err := Parse(section(further))
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v: %v", further, err)
		}
	}
}
