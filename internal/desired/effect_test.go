package desired

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"docker-registry-operator/internal/config"
)

// declared are the defaults of config.yaml, nil for an option without one.
func declared(t *testing.T) config.Options {
	t.Helper()
	text, err := os.ReadFile("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Options map[string]struct{ Default any }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	options := config.Options{}
	for name, option := range file.Options {
		options[name] = option.Default
	}
	return options
}

// material are certificates and keys, by the names that stand for them in this test.
type material map[string][]byte

func newMaterial(t *testing.T) material {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	modern, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	classic, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	authority, _ := pair(t, 2040)
	return material{
		"certificate":         selfSigned(t, private, 2030),
		"renewed certificate": selfSigned(t, private, 2031),
		"key":                 pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: modern}),
		"same key":            pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: classic}),
		"authority":           authority,
	}
}

// files are those that an operator has put on the machine.
func (m material) files() map[string][]byte {
	return map[string][]byte{
		"/a.crt": m["certificate"], "/b.crt": m["renewed certificate"],
		"/a.key": m["key"], "/b.key": m["same key"], "/ca.crt": m["authority"],
	}
}

func (m material) blob(name string) string { return base64.StdEncoding.EncodeToString(m[name]) }

// name is what stands for content, which is content itself if nothing does.
func (m material) name(content []byte) string {
	for name, each := range m {
		if string(each) == string(content) {
			return name
		}
	}
	return string(content)
}

// lines tell a state, one fact a line, without config.yml: what stands there is the
// business of package registryconf.
func (m material) lines(state State) []string {
	var lines []string
	add := func(name string, value any) { lines = append(lines, fmt.Sprintf("%s: %v", name, value)) }
	for _, file := range state.Files {
		if strings.HasSuffix(file.Path, "/config.yml") {
			continue
		}
		add(fmt.Sprintf("file %s %o", file.Path, file.Mode), strings.TrimSpace(m.name(file.Content)))
	}
	w := state.Workload
	add("name", w.Name)
	add("image", w.Image)
	add("admin socket", w.Sockets != "")
	add("capabilities", w.Capabilities)
	add("mounts", w.Mounts)
	add("env", w.Env)
	add("arguments", w.Args(w.Sockets))
	add("port", w.Port)
	add("TLS", w.TLS)
	add("open", state.Ports)
	add("names", state.Client.Netlocs)
	add("plain", state.Client.Plain)
	add("trusted", m.name(state.Client.CA))
	add("status", state.Status.Message)
	return lines
}

// changes are the lines that differ, as a diff shows them.
func changes(before, after []string) []string {
	var lines []string
	for _, line := range before {
		if !slices.Contains(after, line) {
			lines = append(lines, "-"+line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			lines = append(lines, "+"+line)
		}
	}
	return lines
}

// effect is what a value of one option changes of the state.
type effect struct {
	option string
	base   config.Options // set before and after
	value  any
	want   []string
}

func workloadEffects() []effect {
	return []effect{
		{option: "registry-name", value: "images", want: []string{"-name: registry", "+name: images"}},
		{option: "registry-image", value: "registry:3", want: []string{
			"-image: ", "-admin socket: true", "-capabilities: []",
			"-mounts: [{/etc/docker/registry true} {/srv/registry false} {/var/lib/docker-registry/run false} {/etc/ssl/certs true}]",
			"-arguments: [serve --admin /var/lib/docker-registry/run /etc/docker/registry/config.yml]",
			"+image: registry:3", "+admin socket: false", "+capabilities: [DAC_OVERRIDE]",
			"+mounts: [{/etc/docker/registry true} {/srv/registry false} {/etc/ssl/certs true}]",
			"+arguments: [serve /etc/docker/registry/config.yml]",
		}},
		{option: "registry-runtime", value: "native", want: []string{
			"-names: [10.0.0.5:5000]", "-plain: true", "+names: []", "+plain: false",
		}},
		{option: "registry-http-proxy", value: "http://u:p@proxy:3128", want: proxied("HTTP_PROXY=http://u:p@proxy:3128")},
		{option: "registry-https-proxy", value: "http://u:p@proxy:3128", want: proxied("HTTPS_PROXY=http://u:p@proxy:3128")},
		{option: "registry-http-proxy", base: config.Options{"registry-image": "registry:3"}, value: "http://proxy:3128", want: []string{
			"-env: []", "+env: [HTTP_PROXY=http://proxy:3128]",
		}},
		{option: "registry-https-proxy", base: config.Options{"registry-image": "registry:3"}, value: "http://proxy:3128", want: []string{
			"-env: []", "+env: [HTTPS_PROXY=http://proxy:3128]",
		}},
	}
}

// storageEffects replace the registry: a process reads its authorities once.
func storageEffects(m material) []effect {
	one := "/etc/docker/registry/" + authoritiesName(config.Storage{CA: m["certificate"]})
	other := "/etc/docker/registry/" + authoritiesName(config.Storage{CA: m["authority"]})
	withOne := config.Options{"storage-ca-blob": m.blob("certificate")}
	stock := config.Options{"registry-image": "registry:3", "registry-http-proxy": "http://proxy:3128"}
	return []effect{
		{option: "storage-ca-blob", value: m.blob("certificate"), want: []string{
			"-env: []", "+file " + one + " 644: certificate", "+env: [SSL_CERT_FILE=" + one + "]",
		}},
		{option: "storage-ca-blob", base: withOne, value: m.blob("authority"), want: []string{
			"-file " + one + " 644: certificate", "-env: [SSL_CERT_FILE=" + one + "]",
			"+file " + other + " 644: authority", "+env: [SSL_CERT_FILE=" + other + "]",
		}},
		{option: "storage-ca-blob", base: stock, value: m.blob("certificate"), want: []string{
			"-env: [HTTP_PROXY=http://proxy:3128]",
			"+file " + one + " 644: certificate", "+env: [SSL_CERT_FILE=" + one + " HTTP_PROXY=http://proxy:3128]",
		}},
	}
}

// proxied is what a proxy changes that only the registry is to read.
func proxied(line string) []string {
	return []string{
		"-arguments: [serve --admin /var/lib/docker-registry/run /etc/docker/registry/config.yml]",
		"+file /etc/docker/registry/environment 600: " + line,
		"+arguments: [serve --admin /var/lib/docker-registry/run --environment /etc/docker/registry/environment /etc/docker/registry/config.yml]",
	}
}

func portEffects() []effect {
	return []effect{
		{option: "registry-port", value: 5005, want: []string{
			"-port: 5000", "-open: [5000]", "-names: [10.0.0.5:5000]", "-status: Ready at 10.0.0.5:5000 (http).",
			"+port: 5005", "+open: [5005]", "+names: [10.0.0.5:5005]", "+status: Ready at 10.0.0.5:5005 (http).",
		}},
		{option: "debug-port", base: config.Options{"prometheus-metrics": true}, value: 9100, want: []string{
			"-open: [5000 5001]", "+open: [5000 9100]",
		}},
		{option: "prometheus-metrics", value: true, want: []string{"-open: [5000]", "+open: [5000 5001]"}},
		{option: "http-host", value: "http://registry.example.com", want: []string{
			"-names: [10.0.0.5:5000]", "-status: Ready at 10.0.0.5:5000 (http).",
			"+names: [10.0.0.5:5000 registry.example.com]", "+status: Ready at registry.example.com (http).",
		}},
	}
}

func blobEffects(m material) []effect {
	blobs := config.Options{"tls-cert-blob": m.blob("certificate"), "tls-key-blob": m.blob("key")}
	withCA := config.Options{"tls-ca-blob": m.blob("authority")}
	maps.Copy(withCA, blobs)
	return []effect{
		{option: "tls-cert-blob", base: blobs, value: m.blob("renewed certificate"), want: []string{
			"-file /etc/docker/registry/registry.crt 644: certificate",
			"-file /etc/docker/registry/tls/registry.pem 644: certificate",
			"-file /etc/docker/certs.d/10.0.0.5:5000/ca.crt 644: certificate", "-trusted: certificate",
			"+file /etc/docker/registry/registry.crt 644: renewed certificate",
			"+file /etc/docker/registry/tls/registry.pem 644: renewed certificate",
			"+file /etc/docker/certs.d/10.0.0.5:5000/ca.crt 644: renewed certificate", "+trusted: renewed certificate",
		}},
		{option: "tls-key-blob", base: blobs, value: m.blob("same key"), want: []string{
			"-file /etc/docker/registry/registry.key 600: key", "-file /etc/docker/registry/tls/registry-key.pem 600: key",
			"+file /etc/docker/registry/registry.key 600: same key", "+file /etc/docker/registry/tls/registry-key.pem 600: same key",
		}},
		{option: "tls-ca-blob", base: blobs, value: m.blob("authority"), want: []string{
			"-file /etc/docker/certs.d/10.0.0.5:5000/ca.crt 644: certificate", "-trusted: certificate",
			"+file /etc/docker/registry/ca.crt 644: authority",
			"+file /etc/docker/certs.d/10.0.0.5:5000/ca.crt 644: authority", "+trusted: authority",
		}},
		{option: "tls-cert-path", base: blobs, value: "/new.crt", want: []string{
			"-file /etc/docker/registry/registry.crt 644: certificate", "+file /new.crt 644: certificate",
		}},
		{option: "tls-key-path", base: blobs, value: "/new.key", want: []string{
			"-file /etc/docker/registry/registry.key 600: key", "+file /new.key 600: key",
		}},
		{option: "tls-ca-path", base: withCA, value: "/new-ca.crt", want: []string{
			"-file /etc/docker/registry/ca.crt 644: authority", "+file /new-ca.crt 644: authority",
		}},
		{option: "tls-client-ca", base: blobs, value: m.blob("authority"), want: []string{
			"+file /etc/docker/registry/tls/client-ca.pem 644: authority",
		}},
	}
}

func pathEffects() []effect {
	served := config.Options{"tls-cert-path": "/a.crt", "tls-key-path": "/a.key"}
	return []effect{
		{option: "tls-cert-path", base: served, value: "/b.crt", want: []string{
			"-file /etc/docker/registry/tls/registry.pem 644: certificate",
			"-file /etc/docker/certs.d/10.0.0.5:5000/ca.crt 644: certificate", "-trusted: certificate",
			"+file /etc/docker/registry/tls/registry.pem 644: renewed certificate",
			"+file /etc/docker/certs.d/10.0.0.5:5000/ca.crt 644: renewed certificate", "+trusted: renewed certificate",
		}},
		{option: "tls-key-path", base: served, value: "/b.key", want: []string{
			"-file /etc/docker/registry/tls/registry-key.pem 600: key", "+file /etc/docker/registry/tls/registry-key.pem 600: same key",
		}},
		{option: "tls-ca-path", base: served, value: "/ca.crt", want: []string{
			"-file /etc/docker/certs.d/10.0.0.5:5000/ca.crt 644: certificate", "-trusted: certificate",
			"+file /etc/docker/certs.d/10.0.0.5:5000/ca.crt 644: authority", "+trusted: authority",
		}},
	}
}

func authEffects(m material) []effect {
	token := config.Options{
		"auth-token-realm": "https://auth.example.com/token", "auth-token-service": "s", "auth-token-issuer": "i",
		"auth-token-root-certs": m.blob("certificate"),
	}
	return []effect{
		{option: "auth-basic-password", value: "s3cret", want: []string{"+file /etc/docker/registry/htpasswd 600: admin:s3cret"}},
		{option: "auth-basic-user", base: config.Options{"auth-basic-password": "s3cret"}, value: "reader", want: []string{
			"-file /etc/docker/registry/htpasswd 600: admin:s3cret", "+file /etc/docker/registry/htpasswd 600: reader:s3cret",
		}},
		{option: "auth-users", base: config.Options{"auth-basic-password": "s3cret"}, value: "ci: builds", want: []string{
			"-file /etc/docker/registry/htpasswd 600: admin:s3cret", "+file /etc/docker/registry/htpasswd 600: admin:s3cret\nci:builds",
		}},
		{option: "auth-policy", base: config.Options{"auth-users": "ci: builds"}, value: "ci * pull\n", want: []string{
			"+file /etc/docker/registry/policy 600: ci * pull\n# For actions of the charm.\njuju-actions ** push",
		}},
		{option: "auth-token-root-certs", base: token, value: m.blob("authority"), want: []string{
			"-file /etc/docker/registry/token/roots.pem 644: certificate", "+file /etc/docker/registry/token/roots.pem 644: authority",
		}},
	}
}

func TestEffects(t *testing.T) {
	m := newMaterial(t)
	shown := elsewhere()
	for _, test := range slices.Concat(workloadEffects(), portEffects(), blobEffects(m), pathEffects(), authEffects(m), storageEffects(m)) {
		shown = append(shown, test.option)
		t.Run(test.option, func(t *testing.T) {
			before := m.decide(t, test.base)
			after := m.decide(t, test.base, config.Options{test.option: test.value})
			if diff := cmp.Diff(test.want, changes(m.lines(before), m.lines(after))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name := range declared(t) {
		if actsHere(name) && !slices.Contains(shown, name) {
			t.Errorf("option %q has no test of what it changes", name)
		}
	}
}

// elsewhere are options whose effect is in config.yml alone, and shown by package
// registryconf.
func elsewhere() []string {
	return []string{"registry-config", "tls-client-auth", "tls-min-version", "auth-token-realm", "auth-token-service", "auth-token-issuer"}
}

func actsHere(name string) bool {
	return slices.ContainsFunc([]string{"registry-", "http-", "debug-", "prometheus-", "tls-", "auth-"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

// decide is the state of a unit with these options, on a machine with m.files.
func (m material) decide(t *testing.T, changed ...config.Options) State {
	t.Helper()
	options := declared(t)
	for _, each := range changed {
		maps.Copy(options, each)
	}
	in := input()
	var err error
	if in.Config, err = config.Parse(options); err != nil {
		t.Fatal(err)
	}
	in.Facts.Files = m.files()
	if in.Config.Container.Image != "" {
		in.Facts.Image = Image{Stock: true, Major: 3}
	}
	// Package operator makes the password file; the test needs no hash in it.
	for _, user := range in.Config.Auth.All() {
		in.Facts.Htpasswd = fmt.Appendf(in.Facts.Htpasswd, "%s:%s\n", user.Name, user.Password.Reveal())
	}
	return decide(t, in)
}
