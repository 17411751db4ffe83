package tlsconf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/google/go-cmp/cmp"
)

// writePair writes a new certificate of the given name into dir.
func writePair(t *testing.T, dir, name string) configuration.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotAfter:     time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	section := configuration.TLS{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	replace(t, section.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	replace(t, section.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return section
}

func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestPairFollowsFiles changes the files under a loaded pair, with a clock of its own.
func TestPairFollowsFiles(t *testing.T) {
	dir := t.TempDir()
	section := writePair(t, dir, "first")
	var log strings.Builder
	p, err := loadPair(section.Certificate, section.Key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	p.now = func() time.Time { return clock }
	serves := func(when, want string) {
		t.Helper()
		if got := p.current().Leaf.Subject.CommonName; got != want {
			t.Errorf("%s: certificate of %q, want %q", when, got, want)
		}
	}
	serves("at first", "first")
	writePair(t, dir, "second")
	serves("within the interval", "first")
	clock = clock.Add(checkInterval)
	serves("after it", "second")

	replace(t, section.Key, []byte("not a key"))
	for range 3 {
		clock = clock.Add(checkInterval)
		serves("with a bad key", "second")
	}
	if got := strings.Count(log.String(), "changed certificate not used"); got != 1 {
		t.Errorf("a bad pair was logged %d times, want once", got)
	}
	if err := os.Remove(section.Certificate); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(checkInterval)
	serves("without a file", "second")
	writePair(t, dir, "third")
	clock = clock.Add(checkInterval)
	serves("repaired", "third")
}

func TestFor(t *testing.T) {
	good := writePair(t, t.TempDir(), "registry")
	with := func(change func(*configuration.HTTP)) configuration.HTTP {
		conf := configuration.HTTP{TLS: good}
		change(&conf)
		return conf
	}
	type summary struct {
		Minimum uint16
		Suites  int
		Protos  []string
		Client  tls.ClientAuthType
	}
	both := []string{"h2", "http/1.1"}
	for _, test := range []struct {
		name string
		in   configuration.HTTP
		want summary
	}{
		{"defaults", with(func(*configuration.HTTP) {}),
			summary{tls.VersionTLS12, 6, both, tls.NoClientCert}},
		{"tls1.3 ignores suites", with(func(c *configuration.HTTP) {
			c.TLS.MinimumTLS, c.TLS.CipherSuites = "tls1.3", []string{"nonsense"}
		}), summary{tls.VersionTLS13, 0, both, tls.NoClientCert}},
		{"suites", with(func(c *configuration.HTTP) {
			c.TLS.CipherSuites = []string{"TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"}
		}), summary{tls.VersionTLS12, 2, both, tls.NoClientCert}},
		{"no http2", with(func(c *configuration.HTTP) { c.HTTP2.Disabled = true }),
			summary{tls.VersionTLS12, 6, []string{"http/1.1"}, tls.NoClientCert}},
		{"client CA", with(func(c *configuration.HTTP) { c.TLS.ClientCAs = []string{good.Certificate} }),
			summary{tls.VersionTLS12, 6, both, tls.RequireAndVerifyClientCert}},
		{"client asked", with(func(c *configuration.HTTP) {
			c.TLS.ClientCAs, c.TLS.ClientAuth = []string{good.Certificate}, configuration.ClientAuthRequestClientCert
		}), summary{tls.VersionTLS12, 6, both, tls.RequestClientCert}},
		{"acme", configuration.HTTP{TLS: configuration.TLS{LetsEncrypt: configuration.LetsEncrypt{CacheFile: t.TempDir()}}},
			summary{tls.VersionTLS12, 6, append(both[:2:2], "acme-tls/1"), tls.NoClientCert}},
	} {
		t.Run(test.name, func(t *testing.T) {
			setup, err := new(Issuers).For(test.in, slog.New(slog.NewTextHandler(io.Discard, nil)))
			if err != nil {
				t.Fatal(err)
			}
			c := setup.Config
			got := summary{c.MinVersion, len(c.CipherSuites), c.NextProtos, c.ClientAuth}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForRefuses(t *testing.T) {
	good := writePair(t, t.TempDir(), "registry")
	other := writePair(t, t.TempDir(), "other")
	for _, test := range []struct {
		name   string
		change func(*configuration.TLS)
		want   string
	}{
		{"no key", func(c *configuration.TLS) { c.Key = "" }, "cannot load certificate"},
		{"foreign key", func(c *configuration.TLS) { c.Key = other.Key }, "private key does not match public key"},
		{"minimum", func(c *configuration.TLS) { c.MinimumTLS = "tls1.0" },
			`unknown minimum TLS level "tls1.0" specified for http.tls.minimumtls`},
		{"suite", func(c *configuration.TLS) { c.CipherSuites = []string{"ROT13"} },
			`unknown TLS cipher suite "ROT13" specified for http.tls.cipherSuites`},
		{"old suite", func(c *configuration.TLS) { c.CipherSuites = []string{"TLS_RSA_WITH_AES_128_GCM_SHA256"} },
			`cannot use TLS cipher suite "TLS_RSA_WITH_AES_128_GCM_SHA256" of http.tls.ciphersuites: it is out of date, use suites of TLS_ECDHE_`},
		{"client auth without CA", func(c *configuration.TLS) { c.ClientAuth = configuration.ClientAuthRequireAndVerifyClientCert },
			`http.tls.clientauth is "require-and-verify-client-cert", but http.tls.clientcas names no file with authorities`},
		{"client CA", func(c *configuration.TLS) { c.ClientCAs = []string{good.Key} }, "no certificate in it"},
		{"no client CA", func(c *configuration.TLS) { c.ClientCAs = []string{"/nonexistent"} }, "cannot read client CA"},
		{"client auth", func(c *configuration.TLS) { c.ClientCAs, c.ClientAuth = []string{good.Certificate}, "maybe" },
			`unknown client auth mode "maybe" specified for http.tls.clientauth`},
		{"both", func(c *configuration.TLS) { c.LetsEncrypt.CacheFile = "/tmp" },
			"cannot specify both certificate and Let's Encrypt"},
	} {
		t.Run(test.name, func(t *testing.T) {
			section := good
			test.change(&section)
			_, err := new(Issuers).For(configuration.HTTP{TLS: section}, slog.New(slog.NewTextHandler(io.Discard, nil)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestIssuersAreKept makes sure that a reload does not start a second ACME client.
func TestIssuersAreKept(t *testing.T) {
	var issuers Issuers
	conf := configuration.LetsEncrypt{CacheFile: "/cache", Hosts: []string{"a", "b"}}
	first := issuers.manager(conf)
	if issuers.manager(conf) != first {
		t.Error("the same section made another client")
	}
	conf.Hosts = []string{"a"}
	if issuers.manager(conf) == first {
		t.Error("another section got the same client")
	}
}
