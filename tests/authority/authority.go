// Package authority issues certificates for registries under test. Serving them and trusting the
// authority is left to its callers.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync/atomic"
	"time"
)

// validity is how long certificates are good, and how far back they begin: long enough for any test.
const validity = 24 * time.Hour

// An Authority signs certificates. Its methods may be called from several goroutines at a time.
type Authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	last        atomic.Int64
}

// New makes an authority of its own.
func New() (*Authority, error) {
	a := &Authority{}
	template := a.template("Test authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("cannot make authority: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("cannot make authority: %w", err)
	}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

func (a *Authority) template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.last.Add(1)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-validity),
		NotAfter:     time.Now().Add(validity),
	}
}

// Pool returns the authority as what a client trusts.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// Options issues a new certificate for a server of that name and returns it as the charm's tls-*-blob
// options.
func (a *Authority) Options(name string) (map[string]string, error) {
	template := a.template(name)
	template.DNSNames = []string{name}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot issue certificate: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("cannot issue certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot issue certificate: %w", err)
	}
	return map[string]string{
		"tls-cert-blob": blob("CERTIFICATE", der),
		"tls-key-blob":  blob("PRIVATE KEY", secret),
		"tls-ca-blob":   blob("CERTIFICATE", a.certificate.Raw),
	}, nil
}

func blob(kind string, der []byte) string {
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
