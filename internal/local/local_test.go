package local

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/operator"
)

const declaredOptions = `
options:
  registry-port: {type: int, default: 5000}
  storage-delete: {type: boolean, default: false}
  auth-basic-password: {type: string, default: ""}
  log-level: {type: string, default: info}
  registry-http-proxy: {type: string}
`

func unit(t *testing.T, settings Settings) *Unit {
	t.Helper()
	if settings.Declared == "" {
		settings.Declared = declaredOptions
	}
	if settings.Layout.Root == "" {
		settings.Layout.Root = t.TempDir()
	}
	u, err := NewUnit(settings)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func optionsFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "options.yaml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestOptions(t *testing.T) {
	defaults := config.Options{
		"registry-port": int64(5000), "storage-delete": false, "auth-basic-password": "", "log-level": "info",
	}
	changed := config.Options{
		"registry-port": int64(5443), "storage-delete": true, "auth-basic-password": "1234", "log-level": "info",
		"registry-http-proxy": "http://proxy:3128",
	}
	for _, test := range []struct {
		name, file string
		want       config.Options
	}{
		{"empty", "", defaults},
		{"comment only", "# nothing set\n", defaults},
		{"null", "log-level: null\nregistry-http-proxy:\n", defaults},
		{"typed", "registry-port: 5443\nstorage-delete: true\nauth-basic-password: \"1234\"\nregistry-http-proxy: http://proxy:3128\n", changed},
		{"as text", "registry-port: \"5443\"\nstorage-delete: \"true\"\nauth-basic-password: \"1234\"\nregistry-http-proxy: http://proxy:3128\n", changed},
		{"for juju deploy", "docker-registry:\n  registry-port: 5443\n  storage-delete: yes\n  auth-basic-password: '1234'\n  registry-http-proxy: http://proxy:3128\n", changed},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := unit(t, Settings{Options: optionsFile(t, test.file)}).Options(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got, err := unit(t, Settings{}).Options(t.Context()); err != nil || !cmp.Equal(got, defaults) {
		t.Errorf("without a file: %v, %v", got, err)
	}
}

// TestBadOptions also holds that no complaint shows a value, which may be a secret.
func TestBadOptions(t *testing.T) {
	for _, test := range []struct {
		name, file, want string
	}{
		{
			"all at once", "registry-port: s3cr3t\nstorage-delete: [s3cr3t]\nauth-basic-password: 12345678\nlog-levl: s3cr3t\n",
			`option "auth-basic-password": must be of type string; ` +
				`option "log-levl": there is no such option; see config.yaml; ` +
				`option "registry-port": must be of type int; option "storage-delete": must be of type boolean`,
		},
		{"not a map", "- s3cr3t\n", "cannot read options FILE: not YAML of the form `name: value` at line 1"},
		{"a word", "s3cr3t", "cannot read options FILE: not YAML of the form `name: value` at line 1"},
		{"not YAML", "log-level: info\nauth-basic-password: \"s3cr3t\n", "cannot read options FILE: not YAML of the form `name: value` at line 3"},
		{"an alias", "auth-basic-password: *s3cr3t\n", "cannot read options FILE: not YAML of the form `name: value`"},
		{"twice", "log-level: info\nlog-level: debug\n", "cannot read options FILE: not YAML of the form `name: value` at line 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := optionsFile(t, test.file)
			_, err := unit(t, Settings{Options: file}).Options(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.ReplaceAll(err.Error(), file, "FILE"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	_, err := unit(t, Settings{Options: optionsFile(t, "nosuch: 1")}).Options(t.Context())
	if problems := (config.Problems)(nil); !errors.As(err, &problems) {
		t.Errorf("%v are not problems", err)
	}
	if _, err := unit(t, Settings{Options: "/nosuch.yaml"}).Options(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestRecord(t *testing.T) {
	root := t.TempDir()
	first := unit(t, Settings{Layout: desired.Layout{Root: root}})
	if status, err := first.Status(t.Context()); err != nil || status != (desired.Status{Level: "unknown"}) {
		t.Errorf("first status %v, %v", status, err)
	}
	want := desired.Status{Level: desired.Active, Message: "Ready at 10.0.0.5:5000 (https)."}
	for _, err := range []error{
		first.SetStatus(t.Context(), want),
		first.SetVersion(t.Context(), "v3.1.2"),
		first.SetShared(t.Context(), "http-secret", "s3cr3t"),
		first.OpenPort(t.Context(), 5001),
		first.OpenPort(t.Context(), 5000),
		first.OpenPort(t.Context(), 5000),
		first.OpenPort(t.Context(), 6000),
		first.ClosePort(t.Context(), 5001),
		first.ClosePort(t.Context(), 7000),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	later := unit(t, Settings{Layout: desired.Layout{Root: root}})
	if got, err := later.Status(t.Context()); err != nil || got != want {
		t.Errorf("status %v, %v", got, err)
	}
	if got, err := later.Version(t.Context()); err != nil || got != "v3.1.2" {
		t.Errorf("version %q, %v", got, err)
	}
	if got, err := later.Shared(t.Context(), "http-secret"); err != nil || got != "s3cr3t" {
		t.Errorf("shared %q, %v", got, err)
	}
	if got, err := later.OpenedPorts(t.Context()); err != nil || !cmp.Equal(got, []int{5000, 6000}) {
		t.Errorf("ports %v, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(root, "var/lib/docker-registry/unit.yaml"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("record %v, %v; want mode 0600", info, err)
	}
}

// TestRecordTogether has several runs of the charm change a record at a time.
func TestRecordTogether(t *testing.T) {
	root := t.TempDir()
	var group sync.WaitGroup
	for port := 5000; port < 5020; port++ {
		group.Go(func() {
			if err := unit(t, Settings{Layout: desired.Layout{Root: root}}).OpenPort(t.Context(), port); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	u := unit(t, Settings{Layout: desired.Layout{Root: root}})
	if got, err := u.OpenedPorts(t.Context()); err != nil || len(got) != 20 {
		t.Errorf("%d ports, %v; want 20", len(got), err)
	}
	if left, err := filepath.Glob(filepath.Join(root, "var/lib/docker-registry/.unit-*")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestBrokenRecord(t *testing.T) {
	u := unit(t, Settings{})
	if err := u.SetShared(t.Context(), "http-secret", "s3cr3t"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(u.record.path, []byte("shared: s3cr3t"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := u.SetVersion(t.Context(), "v3")
	want := "cannot read the unit's record " + u.record.path + ": not YAML of the form `name: value` at line 1"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	if _, err := os.ReadFile(u.record.path); err != nil {
		t.Error(err)
	}
}

func TestName(t *testing.T) {
	name := func(root string) string { return unit(t, Settings{Layout: desired.Layout{Root: root}}).Name() }
	if got := name("/"); got != "docker-registry/0" {
		t.Errorf("name %q", got)
	}
	one, same, other := name("/srv/one"), name("/srv/one/"), name("/srv/other")
	if one != same || one == other || !strings.HasPrefix(one, "docker-registry-") {
		t.Errorf("names %q, %q, %q", one, same, other)
	}
}

func TestAddresses(t *testing.T) {
	given, err := unit(t, Settings{Address: "registry.example"}).Addresses(t.Context(), "website")
	if err != nil || !slices.Equal(given, []string{"registry.example"}) {
		t.Errorf("%q, %v", given, err)
	}
	found, err := unit(t, Settings{}).Addresses(t.Context(), "website")
	if len(found) != 1 {
		t.Fatalf("%q, %v", found, err)
	}
	if address, bad := netip.ParseAddr(found[0]); err != nil || bad != nil || !address.Is4() || address.IsUnspecified() {
		t.Errorf("%q, %v", found, err)
	}
}

func TestProxy(t *testing.T) {
	env := map[string]string{"http_proxy": "http://a", "HTTP_PROXY": "http://b", "HTTPS_PROXY": "http://c"}
	u := unit(t, Settings{Getenv: func(name string) string { return env[name] }})
	if got, want := u.Proxy(), (operator.Proxy{HTTP: "http://a", HTTPS: "http://c"}); got != want {
		t.Errorf("%+v", got)
	}
}

func FuzzDecodeOptions(f *testing.F) {
	for _, seed := range []string{"a: 1", "docker-registry: {a: 1}", "- a", "a: *b", "1: 2", "", "---\n---\na: 1", "? [a]: b", "<<: {a: 1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = decodeOptions(data)
	})
}
