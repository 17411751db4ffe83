package registryconf

import (
	"bytes"
	"errors"
	"maps"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"docker-registry-operator/internal/config"
)

// owned is what no overlay may change.
type owned struct {
	HTTP struct {
		Addr, Net, Host, Prefix, Secret string
		Debug                           map[string]any
		TLS                             struct{ Certificate, Key, ClientAuth string }
	}
	Auth    map[string]any
	Proxy   map[string]any
	Storage struct {
		Delete, Redirect map[string]any
		Maintenance      struct{ ReadOnly map[string]any }
		Filesystem       *struct{ RootDirectory string }
	}
}

func FuzzOverlay(f *testing.F) {
	for _, seed := range []string{
		notificationsOverlay, "{}", "http: {addr: ':1'}", "storage: {azure: {a: b}}", "auth: {htpasswd: {realm: r}}",
		"<<: {http: {addr: x}}", "a: &a {addr: x}\nhttp: *a", "storage: {cache: {blobdescriptor: redis}}\nredis: {addrs: [a]}",
		"http.addr: x", "storage: [filesystem]", "? http\n: {secret: x}",
	} {
		f.Add(seed)
	}
	plain := input(f, nil)
	plain.TLS = served()
	rendered, err := Render(plain)
	if err != nil {
		f.Fatal(err)
	}
	var want owned
	if err := yaml.Unmarshal(rendered, &want); err != nil {
		f.Fatal(err)
	}
	options := config.Options(declared(f))
	f.Fuzz(func(t *testing.T, text string) {
		in := plain
		changed := maps.Clone(options)
		changed["registry-config"] = text
		parsed, err := config.Parse(changed)
		if err != nil {
			t.Skip("not an overlay")
		}
		in.Config = parsed
		rendered, err := Render(in)
		var problems config.Problems
		if errors.As(err, &problems) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var got owned
		if err := yaml.Unmarshal(rendered, &got); err != nil {
			t.Fatalf("what charm and overlay make cannot be read: %v\n%s", err, rendered)
		}
		expected := want
		if got.Storage.Filesystem == nil {
			expected.Storage.Filesystem = nil
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("overlay changes what the charm owns (-want +got):\n%s", diff)
		}
		takenAsAWhole(t, rendered)
	})
}

// takenAsAWhole demands that distribution reads it, and finds one storage backend.
func takenAsAWhole(t *testing.T, rendered []byte) {
	parsed, err := configuration.Parse(bytes.NewReader(rendered))
	if err != nil {
		t.Fatalf("distribution refuses it: %v\n%s", err, rendered)
	}
	if parsed.Storage.Type() == "" {
		t.Errorf("no storage backend:\n%s", rendered)
	}
}
