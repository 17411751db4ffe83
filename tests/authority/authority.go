// Package authority issues certificates for registries under test. Serving them and trusting the
// authority is left to its callers.
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"time"
)

// validity is how long certificates are good, and how far back they begin: long enough for any test.
const validity = 24 * time.Hour

// An Authority signs certificates. Its methods may be called from several goroutines at a time.
type Authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	above       *Authority // nil for a root
}

// New makes an authority of its own.
func New() (*Authority, error) { return newAuthority("Test authority", nil) }

// Subordinate makes an authority that a has signed.
func (a *Authority) Subordinate(name string) (*Authority, error) { return newAuthority(name, a) }

func newAuthority(name string, above *Authority) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make authority: %w", err)
	}
	a := &Authority{key: key, above: above}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signer := a
	if above != nil {
		signer = above
	}
	a.certificate, err = signer.sign(template, key.Public())
	return a, err
}

// Sign issues a certificate (PEM) for a key, with a serial number of its own. Unless the template says
// how long it is good, that is a day.
func (a *Authority) Sign(template *x509.Certificate, key crypto.PublicKey) (string, error) {
	certificate, err := a.sign(template, key)
	if err != nil {
		return "", err
	}
	return text("CERTIFICATE", certificate.Raw), nil
}

func (a *Authority) sign(template *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	filled := *template
	if filled.NotAfter.IsZero() {
		filled.NotBefore, filled.NotAfter = time.Now().Add(-validity), time.Now().Add(validity)
	}
	parent := a.certificate
	if parent == nil {
		parent = &filled
	}
	der, err := x509.CreateCertificate(rand.Reader, &filled, parent, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("cannot issue certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// Chain returns the authority's own certificate and those above it (PEM each), the root last.
func (a *Authority) Chain() []string {
	var chain []string
	for ; a != nil; a = a.above {
		chain = append(chain, text("CERTIFICATE", a.certificate.Raw))
	}
	return chain
}

// Pool returns the root above the authority as what a client trusts.
func (a *Authority) Pool() *x509.CertPool {
	for a.above != nil {
		a = a.above
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// AddNames puts host names and addresses into what is to be a certificate.
func AddNames(template *x509.Certificate, names ...string) {
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
			continue
		}
		template.DNSNames = append(template.DNSNames, name)
	}
}

// Options issues a new certificate for a server of that name or address and returns it as the charm's tls-*-blob
// options.
func (a *Authority) Options(name string) (map[string]string, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	AddNames(template, name)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot issue certificate: %w", err)
	}
	certificate, err := a.Sign(template, key.Public())
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot issue certificate: %w", err)
	}
	return map[string]string{
		"tls-cert-blob": blob(certificate),
		"tls-key-blob":  blob(text("PRIVATE KEY", secret)),
		"tls-ca-blob":   blob(a.Chain()[0]),
	}, nil
}

func text(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func blob(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
