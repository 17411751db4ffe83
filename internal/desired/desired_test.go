package desired

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
)

const (
	certPath = "/etc/docker/registry/registry.crt"
	keyPath  = "/etc/docker/registry/registry.key"
	caPath   = "/etc/docker/registry/ca.crt"
)

// input is a unit with all defaults.
func input() Input {
	return Input{
		Config: config.Config{
			HTTP:      config.HTTP{Port: 5000, DebugPort: 5001},
			TLS:       config.TLS{CertPath: certPath, KeyPath: keyPath, CAPath: caPath},
			Storage:   config.Storage{Backend: config.Filesystem{}, MemoryCache: true},
			Log:       config.Log{Level: "info"},
			Container: config.Container{Name: "registry", Runtime: config.Docker},
		},
		Facts: Facts{
			Unit:         "docker-registry/0",
			Addresses:    []string{"10.0.0.5"},
			Now:          time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix(),
			Secret:       config.NewSecret("shared"),
			User:         Identity{UID: 65532, GID: 65532},
			Certificates: true,
		},
	}
}

// pair is a self-signed certificate with its key, valid until the year.
func pair(t *testing.T, year int) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return selfSigned(t, private, year), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

func selfSigned(t *testing.T, private *ecdsa.PrivateKey, year int) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "registry"},
		NotAfter:     time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// secured is a unit with a certificate at the path options.
func secured(t *testing.T, year int) Input {
	t.Helper()
	in := input()
	cert, key := pair(t, year)
	in.Facts.Files = map[string][]byte{certPath: cert, keyPath: key}
	return in
}

func decide(t *testing.T, in Input) State {
	t.Helper()
	state, err := For(in)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func paths(files []File) []string {
	var names []string
	for _, file := range files {
		names = append(names, file.Path)
	}
	slices.Sort(names)
	return names
}

func TestForDefaults(t *testing.T) {
	state := decide(t, input())
	want := State{
		Files: state.Files,
		Place: "/srv/registry",
		Data:  "/srv/registry",
		Workload: Workload{
			Name:       "registry",
			Unit:       "docker-registry/0",
			ConfigFile: "/etc/docker/registry/config.yml",
			Config:     digest(state.Files[0].Content),
			Sockets:    "/var/lib/docker-registry/run",
			User:       Identity{UID: 65532, GID: 65532},
			Mounts: []Mount{
				{Path: "/etc/docker/registry", ReadOnly: true},
				{Path: "/srv/registry"},
				{Path: "/var/lib/docker-registry/run"},
				{Path: "/etc/ssl/certs", ReadOnly: true},
			},
			Port: 5000,
		},
		Ports:  []int{5000},
		Client: Client{Netlocs: []string{"10.0.0.5:5000"}, Plain: true},
		Status: Status{Active, "Ready at 10.0.0.5:5000 (http)."},
	}
	if diff := cmp.Diff(want, state); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/etc/docker/registry/config.yml"}, paths(state.Files)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestForIsStable(t *testing.T) {
	in := secured(t, 2030)
	if diff := cmp.Diff(decide(t, in), decide(t, in)); diff != "" {
		t.Errorf("the same input, another state:\n%s", diff)
	}
}

func TestForServesTheFilesOfTheOperator(t *testing.T) {
	in := secured(t, 2030)
	state := decide(t, in)
	want := []string{
		"/etc/docker/certs.d/10.0.0.5:5000/ca.crt",
		"/etc/docker/registry/config.yml",
		"/etc/docker/registry/tls/registry-key.pem",
		"/etc/docker/registry/tls/registry.pem",
	}
	if diff := cmp.Diff(want, paths(state.Files)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got, want := state.Status.Message, "Ready at 10.0.0.5:5000 (https)."; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	if state.Client.Plain || !state.Workload.TLS {
		t.Error("the registry is taken for one without TLS")
	}
	for _, file := range state.Files {
		secret := strings.Contains(file.Path, "key") || strings.HasSuffix(file.Path, "config.yml")
		if secret != (file.Mode == 0o600) {
			t.Errorf("%s has mode %o", file.Path, file.Mode)
		}
	}
}

func TestForServesBlobs(t *testing.T) {
	in := input()
	chain, key := pair(t, 2030)
	ca, _ := pair(t, 2035)
	cert, err := config.ParseCertificate(chain, key, ca)
	if err != nil {
		t.Fatal(err)
	}
	in.Config.TLS.Blobs = &cert
	in.Facts.Files = map[string][]byte{certPath: []byte("not asked for")}
	state := decide(t, in)
	got := map[string]string{}
	for _, file := range state.Files {
		got[file.Path] = string(file.Content)
	}
	for path, want := range map[string][]byte{
		certPath: chain, keyPath: key, caPath: ca,
		"/etc/docker/registry/tls/registry.pem":     chain,
		"/etc/docker/registry/tls/registry-key.pem": key,
		"/etc/docker/certs.d/10.0.0.5:5000/ca.crt":  ca,
	} {
		if got[path] != string(want) {
			t.Errorf("%s holds %q, want %q", path, got[path], want)
		}
	}
}

func TestForLeavesDockerAloneWithoutIt(t *testing.T) {
	for name, in := range map[string]Input{"http": input(), "https": secured(t, 2030)} {
		t.Run(name, func(t *testing.T) {
			in.Config.Container.Runtime = config.Native
			state := decide(t, in)
			if diff := cmp.Diff(Client{}, state.Client); diff != "" {
				t.Errorf("client (-want +got):\n%s", diff)
			}
			for _, file := range state.Files {
				if strings.Contains(file.Path, "certs.d") {
					t.Errorf("%s is for Docker", file.Path)
				}
			}
		})
	}
}

func TestForSaysThatACertificateHasExpired(t *testing.T) {
	got := decide(t, secured(t, 2025)).Status
	want := Status{Active, "Ready at 10.0.0.5:5000 (https). The certificate has expired; replace it, clients refuse it."}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestForChangesWorkload(t *testing.T) {
	base := decide(t, input()).Workload
	for _, test := range []struct {
		name   string
		change func(*Input)
		want   func(*Workload)
	}{
		{"low port", func(in *Input) { in.Config.HTTP.Port = 443 }, func(w *Workload) {
			w.Port, w.Capabilities = 443, []string{"NET_BIND_SERVICE"}
		}},
		{"foreign data", func(in *Input) { in.Facts.ForeignData = true }, func(w *Workload) {
			w.Capabilities = []string{"DAC_OVERRIDE"}
		}},
		{"stopped", func(in *Input) { in.Facts.Stopped = true }, func(w *Workload) { w.Stopped = true }},
		{"proxy", func(in *Input) { in.Config.Container.HTTPSProxy = config.NewSecret("http://u:p@proxy:3128") }, func(w *Workload) {
			w.Environment = "/etc/docker/registry/environment"
			w.EnvironmentDigest = digest([]byte("HTTPS_PROXY=http://u:p@proxy:3128\n"))
		}},
		{"stock image", func(in *Input) {
			in.Config.Container.Image, in.Facts.Image = "registry:3", Image{Stock: true, Major: 3}
			in.Config.Container.HTTPProxy = config.NewSecret("http://proxy:3128")
		}, func(w *Workload) {
			w.Image, w.Sockets, w.Env = "registry:3", "", []string{"HTTP_PROXY=http://proxy:3128"}
			w.Capabilities = []string{"DAC_OVERRIDE"}
			w.Mounts = slices.Delete(slices.Clone(w.Mounts), 2, 3)
		}},
		{"no authorities", func(in *Input) { in.Facts.Certificates = false }, func(w *Workload) {
			w.Mounts = w.Mounts[:3]
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, want := input(), base
			test.change(&in)
			test.want(&want)
			got := decide(t, in).Workload
			want.Config = got.Config
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("workload (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryFileChangesTheConfiguration(t *testing.T) {
	before, after := secured(t, 2030), secured(t, 2030)
	if decide(t, before).Workload.Config == decide(t, after).Workload.Config {
		t.Error("another certificate leaves the digest of the configuration as it was")
	}
}

func TestForKnowsRedisByItsAuthority(t *testing.T) {
	authority, _ := pair(t, 2030)
	for _, test := range []struct {
		name string
		ca   []byte
		want string
	}{
		{"of the machine", nil, "/etc/ssl/certs/ca-certificates.crt"},
		{"of the options", authority, "/etc/docker/registry/" + authoritiesName(config.Storage{CA: authority})},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input()
			in.Config.Storage.CA, in.Config.Storage.Redis = test.ca, &config.Redis{Addrs: []string{"r:6379"}, TLS: true}
			files := decide(t, in).Files
			if rendered := string(files[len(files)-1].Content); !strings.Contains(rendered, "rootcas: ["+test.want+"]") {
				t.Errorf("config.yml does not name %s:\n%s", test.want, rendered)
			}
		})
	}
}

func TestForNames(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Input)
		want   []string
		status string
	}{
		{"IPv6", func(in *Input) { in.Facts.Addresses = []string{"fd00::5"} }, []string{"[fd00::5]:5000"}, "Ready at [fd00::5]:5000 (http)."},
		{
			"http-host", func(in *Input) { in.Config.HTTP.Host = config.URL{Scheme: "https", Netloc: "registry.example.com"} },
			[]string{"10.0.0.5:5000", "registry.example.com"}, "Ready at registry.example.com (http).",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input()
			test.change(&in)
			state := decide(t, in)
			if diff := cmp.Diff(test.want, state.Client.Netlocs); diff != "" {
				t.Errorf("netlocs (-want +got):\n%s", diff)
			}
			if state.Status.Message != test.status {
				t.Errorf("status %q, want %q", state.Status.Message, test.status)
			}
		})
	}
}

func TestForPorts(t *testing.T) {
	metrics, stopped := input(), input()
	metrics.Config.HTTP.Metrics, metrics.Config.HTTP.DebugPort = true, 4000
	stopped.Facts.Stopped = true
	if diff := cmp.Diff([]int{4000, 5000}, decide(t, metrics).Ports); diff != "" {
		t.Errorf("with metrics (-want +got):\n%s", diff)
	}
	state := decide(t, stopped)
	if len(state.Ports) > 0 {
		t.Errorf("open while stopped: %v", state.Ports)
	}
	if want := (Status{Blocked, "registry container is stopped."}); state.Status != want {
		t.Errorf("status %v, want %v", state.Status, want)
	}
}

func TestForRefuses(t *testing.T) {
	cert, key := pair(t, 2030)
	_, other := pair(t, 2030)
	for _, test := range []struct {
		name   string
		change func(*Input)
		want   string
	}{
		{"certificate alone", func(in *Input) { in.Facts.Files = map[string][]byte{certPath: cert} },
			`option "tls-key-path": no key at /etc/docker/registry/registry.key, but there is a certificate at /etc/docker/registry/registry.crt; put the key there, or remove the certificate to serve plain HTTP`},
		{"key alone", func(in *Input) { in.Facts.Files = map[string][]byte{keyPath: key} },
			`option "tls-cert-path": no certificate at /etc/docker/registry/registry.crt, but there is a key at /etc/docker/registry/registry.key; put the certificate there, or remove the key to serve plain HTTP`},
		{"key of another", func(in *Input) { in.Facts.Files = map[string][]byte{certPath: cert, keyPath: other} },
			`option "tls-key-path": /etc/docker/registry/registry.key cannot be used with the certificate: private key does not match public key`},
		{"certificate that is none", func(in *Input) { in.Facts.Files = map[string][]byte{certPath: []byte("hidden"), keyPath: key} },
			`option "tls-cert-path": /etc/docker/registry/registry.crt must be PEM, starting with -----BEGIN CERTIFICATE-----`},
		{"key that is none", func(in *Input) { in.Facts.Files = map[string][]byte{certPath: cert, keyPath: cert} },
			`option "tls-key-path": /etc/docker/registry/registry.key must hold a private key, but its PEM has none`},
		{"authority that is none", func(in *Input) {
			in.Facts.Files = map[string][]byte{certPath: cert, keyPath: key, caPath: key}
		}, `option "tls-ca-path": /etc/docker/registry/ca.crt must hold a certificate, but its PEM has none`},
		{"clients without TLS", func(in *Input) { in.Config.TLS.Clients = &config.ClientAuth{CA: cert} },
			`option "tls-client-ca": needs TLS: set tls-cert-blob and tls-key-blob, integrate cert-provider, or put files at tls-cert-path and tls-key-path`},
		{"image of a native registry", func(in *Input) {
			in.Config.Container.Runtime, in.Config.Container.Image = config.Native, "registry:3"
		}, `option "registry-image": has no meaning with registry-runtime "native", which runs the registry that the charm carries; reset one of the two`},
		{"Redis that nobody vouches for", func(in *Input) {
			in.Facts.Certificates, in.Config.Storage.Redis = false, &config.Redis{Addrs: []string{"r:6379"}, TLS: true}
		}, `option "storage-ca-blob": must be set together with "storage-redis-tls": the machine has no authorities of its own`},
		{"proxy's password in a stock image", func(in *Input) {
			in.Facts.Image = Image{Stock: true, Major: 2}
			in.Config.Container.HTTPProxy = config.NewSecret("http://u:hidden@proxy:3128")
		}, `option "registry-http-proxy": holds credentials, which registry-image would show to everyone who may inspect containers; reset registry-image, or use a proxy without credentials`},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input()
			test.change(&in)
			_, err := For(in)
			if problems := (config.Problems)(nil); !errors.As(err, &problems) {
				t.Fatalf("got error %v, want problems", err)
			}
			if err.Error() != test.want {
				t.Errorf("got\n%q, want\n%q", err, test.want)
			}
			if strings.Contains(err.Error(), "hidden") {
				t.Error("the error holds a secret")
			}
		})
	}
}

func TestArgs(t *testing.T) {
	in := input()
	in.Facts.ForeignData = true
	in.Config.Container.HTTPProxy = config.NewSecret("http://proxy:3128")
	got := decide(t, in).Workload.Args("/run/a.sock")
	want := []string{
		"serve", "--admin", "/run/a.sock", "--user", "65532:65532",
		"--environment", "/etc/docker/registry/environment", "/etc/docker/registry/config.yml",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"serve", "/etc/docker/registry/config.yml"}, decide(t, in).Workload.Args("")); diff != "" {
		t.Errorf("arguments without a socket (-want +got):\n%s", diff)
	}
}
