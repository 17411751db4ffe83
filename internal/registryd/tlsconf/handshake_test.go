package tlsconf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
)

// handshake lets a client meet a server and returns what the client has agreed to.
func handshake(server, client *tls.Config) (tls.ConnectionState, error) {
	here, there := net.Pipe()
	served := make(chan error, 1)
	go func() {
		conn := tls.Server(there, server)
		served <- errors.Join(conn.Handshake(), there.Close())
	}()
	conn := tls.Client(here, client)
	err := conn.Handshake()
	state := conn.ConnectionState()
	return state, errors.Join(err, here.Close(), <-served)
}

// keys are of both kinds that a cipher suite of TLS 1.2 may be for.
func keys(t *testing.T) map[string]tls.Certificate {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	forEC, err := x509.CreateCertificate(rand.Reader, template, template, ec.Public(), ec)
	if err != nil {
		t.Fatal(err)
	}
	forRSA, err := x509.CreateCertificate(rand.Reader, template, template, rsa2048.Public(), rsa2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]tls.Certificate{
		"ECDSA": {Certificate: [][]byte{forEC}, PrivateKey: ec},
		"RSA":   {Certificate: [][]byte{forRSA}, PrivateKey: rsa2048},
	}
}

// configFor is what For makes of section, with a certificate of the given key.
func configFor(t *testing.T, section configuration.TLS, certificate tls.Certificate) *tls.Config {
	t.Helper()
	made := writePair(t, t.TempDir(), "registry")
	section.Certificate, section.Key = made.Certificate, made.Key
	setup, err := new(Issuers).For(configuration.HTTP{TLS: section}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	config := setup.Config.Clone()
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil }
	return config
}

// TestVersions meets clients that know one version of the protocol only.
func TestVersions(t *testing.T) {
	certificate := keys(t)["ECDSA"]
	for _, test := range []struct {
		minimum  string
		accepted []uint16
	}{
		{"", []uint16{tls.VersionTLS12, tls.VersionTLS13}},
		{"tls1.2", []uint16{tls.VersionTLS12, tls.VersionTLS13}},
		{"tls1.3", []uint16{tls.VersionTLS13}},
	} {
		server := configFor(t, configuration.TLS{MinimumTLS: test.minimum}, certificate)
		for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
			state, err := handshake(server, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
			want := slices.Contains(test.accepted, version)
			if (err == nil) != want || want && state.Version != version {
				t.Errorf("minimum %q: a client of %s: %v", test.minimum, tls.VersionName(version), err)
			}
		}
	}
}

// TestSuites meets clients of TLS 1.2 that know one cipher suite only, of all that Go knows.
func TestSuites(t *testing.T) {
	for kind, certificate := range keys(t) {
		server := configFor(t, configuration.TLS{}, certificate)
		for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if onlyTLS13(suite.ID) {
				continue
			}
			want := strings.HasPrefix(suite.Name, "TLS_ECDHE_"+kind) &&
				(strings.Contains(suite.Name, "_GCM_") || strings.Contains(suite.Name, "_CHACHA20_"))
			_, err := handshake(server, &tls.Config{
				InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID},
			})
			if (err == nil) != want {
				t.Errorf("%s certificate: a client of %s: %v", kind, suite.Name, err)
			}
		}
	}
}

// TestConfiguredSuites narrows the choice.
func TestConfiguredSuites(t *testing.T) {
	const only = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
	server := configFor(t, configuration.TLS{CipherSuites: []string{only}}, keys(t)["ECDSA"])
	state, err := handshake(server, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err != nil || tls.CipherSuiteName(state.CipherSuite) != only {
		t.Errorf("agreed on %s, %v", tls.CipherSuiteName(state.CipherSuite), err)
	}
}
