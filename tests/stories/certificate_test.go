package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// certificates are PEM texts. The key fits cert and expired.
type certificates struct {
	cert, expired, key, otherKey string
}

func makeCertificates(t *testing.T) certificates {
	t.Helper()
	key, text := makeKey(t)
	_, other := makeKey(t)
	return certificates{
		cert:     makeCertificate(t, key, time.Now().Add(time.Hour)),
		expired:  makeCertificate(t, key, time.Now().Add(-time.Minute)),
		key:      text,
		otherKey: other,
	}
}

func makeKey(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func makeCertificate(t *testing.T, key *ecdsa.PrivateKey, notAfter time.Time) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registry"}, DNSNames: []string{"registry"},
		NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
