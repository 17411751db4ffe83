package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pair is a certificate, its key, both as PEM.
type pair struct {
	cert, key []byte
	notAfter  int64
	parsed    *x509.Certificate
	private   *ecdsa.PrivateKey
}

// newPair makes a certificate that is its own authority and expired in 2001.
func newPair(t testing.TB, name string) pair { return signedBy(t, nil, name) }

func signedBy(t testing.TB, authority *pair, name string) pair {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             time.Unix(900_000_000, 0),
		NotAfter:              time.Unix(1_000_000_000, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	parent, signer := template, private
	if authority != nil {
		parent, signer = authority.parsed, authority.private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		cert:     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:      pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		notAfter: 1_000_000_000,
		parsed:   parsed,
		private:  private,
	}
}

func TestParseCertificate(t *testing.T) {
	root := newPair(t, "root")
	leaf := signedBy(t, &root, "leaf")
	noise := []byte("subject=leaf\n\n")
	chain := bytes.Join([][]byte{leaf.cert, root.cert}, nil)

	got, err := ParseCertificate(
		bytes.Join([][]byte{noise, leaf.cert, leaf.key, noise, root.cert}, nil),
		append(noise, leaf.key...),
		append(root.cert, noise...),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := Certificate{Chain: chain, Key: NewSecret(string(leaf.key)), CA: root.cert, NotBefore: 900_000_000, NotAfter: leaf.notAfter, Authority: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.ExpiredAt(leaf.notAfter) || !got.ExpiredAt(leaf.notAfter+1) {
		t.Error("certificate expires at another time than NotAfter")
	}
}

func TestParseCertificateRefuses(t *testing.T) {
	root := newPair(t, "root")
	leaf := signedBy(t, &root, "leaf")
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	ec, err := x509.MarshalECPrivateKey(leaf.private)
	if err != nil {
		t.Fatal(err)
	}
	old := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES"}, Bytes: ec})
	tests := []struct {
		name           string
		chain, key, ca []byte
		want           CertificateError
	}{
		{"nothing", nil, leaf.key, nil, CertificateError{CertPart, "must be PEM, starting with -----BEGIN CERTIFICATE-----"}},
		{"not PEM", []byte("x"), leaf.key, nil, CertificateError{CertPart, "must be PEM, starting with -----BEGIN CERTIFICATE-----"}},
		{"only a key", leaf.key, leaf.key, nil, CertificateError{CertPart, "must hold a certificate, but its PEM has none"}},
		{"broken certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), leaf.key, nil, CertificateError{CertPart, "PEM block 1 is not a certificate"}},
		{"no key", leaf.cert, []byte("x"), nil, CertificateError{KeyPart, "must be PEM, starting with -----BEGIN PRIVATE KEY-----"}},
		{"certificate as key", leaf.cert, leaf.cert, nil, CertificateError{KeyPart, "must hold a private key, but its PEM has none"}},
		{"encrypted key", leaf.cert, encrypted, nil, CertificateError{KeyPart, `is encrypted: decrypt it with "openssl pkey"`}},
		{"key encrypted of old", leaf.cert, old, nil, CertificateError{KeyPart, `is encrypted: decrypt it with "openssl pkey"`}},
		{"another key", leaf.cert, root.key, nil, CertificateError{KeyPart, "cannot be used with the certificate: private key does not match public key"}},
		{"leaf not first", append(root.cert, leaf.cert...), leaf.key, nil, CertificateError{KeyPart, "cannot be used with the certificate: private key does not match public key"}},
		{"authority not PEM", leaf.cert, leaf.key, []byte("x"), CertificateError{CAPart, "must be PEM, starting with -----BEGIN CERTIFICATE-----"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseCertificate(test.chain, test.key, test.ca)
			got, ok := err.(*CertificateError)
			if !ok {
				t.Fatalf("error is %v", err)
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
