package legacy_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/juju"
)

// An easyrsa has issued a certificate to the first unit of the former charm.
type easyrsa struct {
	s                    *site
	relation             *juju.Relation
	authority            *authority.Authority
	ca, certificate, key string
}

// newEasyrsa has the unit ask as the former charm does, answers, and has the unit take the answer in. In
// a network without public addresses the unit's own stands twice among the names.
func newEasyrsa(s *site) *easyrsa {
	s.t.Helper()
	address, host := s.machines[0].Address(), s.on(0, "hostname")
	e := &easyrsa{s: s, relation: s.relate("cert-provider", "easyrsa", nil)}
	names := []string{address, address, host}
	slices.Sort(names)
	sans, err := json.Marshal(names)
	s.must(err)
	s.must(s.former[0].Tell(e.relation, map[string]string{
		"unit_name": "docker-registry_0", "certificate_name": "docker-registry_0", "common_name": address,
		// Python puts a space between two of a list.
		"sans": strings.ReplaceAll(string(sans), ",", ", "),
	}))
	e.authority, err = authority.New()
	s.must(err)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	s.must(err)
	e.ca = e.authority.Chain()[0]
	e.certificate, err = e.authority.Sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: address}, DNSNames: []string{host}, IPAddresses: []net.IP{net.ParseIP(address)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, key.Public())
	s.must(err)
	// openssl writes a description above the certificate, and easyrsa passes it on.
	e.certificate = "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + e.certificate
	der, err := x509.MarshalPKCS8PrivateKey(key)
	s.must(err)
	e.key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	s.must(e.relation.Set("easyrsa/0", map[string]string{
		"ca": e.ca, "client.cert": "for clients", "client.key": "for clients",
		"docker-registry_0.server.cert": e.certificate, "docker-registry_0.server.key": e.key,
	}))
	s.must(s.former[0].WriteCertificate(e.ca, e.certificate, e.key))
	s.settle()
	return e
}

// trust is for clients that have no certificate of their own.
func (e *easyrsa) trust() *tls.Config {
	return &tls.Config{RootCAs: e.authority.Pool(), ServerName: e.s.machines[0].Address()}
}

// client shows the registry's own certificate, as the engine of its machine does.
func (e *easyrsa) client() *tls.Config {
	pair, err := tls.X509KeyPair([]byte(e.certificate), []byte(e.key))
	e.s.must(err)
	config := e.trust()
	config.Certificates = []tls.Certificate{pair}
	return config
}

// served is the certificate that a unit's registry shows.
func (s *site) served(unit, port int) *x509.Certificate {
	s.t.Helper()
	conn, err := s.machines[unit].Dial(s.ctx, "tcp", net.JoinHostPort(s.machines[unit].Address(), strconv.Itoa(port)))
	s.must(err)
	defer func() { _ = conn.Close() }()
	// Who it is, is what is asked.
	client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	s.must(client.HandshakeContext(s.ctx))
	return client.ConnectionState().PeerCertificates[0]
}

// quoted is a text as JSON, which is Python's as well for ASCII.
func quoted(t *testing.T, text string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}
