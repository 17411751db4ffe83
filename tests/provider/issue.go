package provider

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"docker-registry-operator/tests/authority"
)

const keyBits = 2048

// An issued certificate, with what a provider tells beside it (PEM).
type issued struct {
	certificate string
	// above are those who stand above the certificate: who has signed first, and the root last.
	above []string
}

// issue signs a certificate for a key, with the fault that shows in the certificate or beside it.
func (p *Provider) issue(template *x509.Certificate, key crypto.PublicKey) (issued, error) {
	template.BasicConstraintsValid = true
	template.IsCA = p.Fault == Authority
	if p.Validity > 0 {
		template.NotBefore = time.Now().Add(-p.Age)
		template.NotAfter = template.NotBefore.Add(p.Validity)
	}
	if p.Fault == ForeignKey {
		other, err := newKey()
		if err != nil {
			return issued{}, err
		}
		key = other.Public()
	}
	told := p.issuer
	if p.Fault == WrongCA {
		var err error
		if told, err = authority.New(); err != nil {
			return issued{}, err
		}
	}
	certificate, err := p.issuer.Sign(template, key)
	return issued{certificate, told.Chain()}, err
}

// forServer is a certificate of version 0, where the provider alone decides what is in it.
func forServer(r request) *x509.Certificate {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: r.name},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	names := r.sans
	if !slices.Contains(names, r.name) {
		names = append(slices.Clone(names), r.name)
	}
	authority.AddNames(template, names...)
	return template
}

// forRequest is a certificate of version 1: what the signing request asks for, and nothing else.
func forRequest(r request) *x509.Certificate {
	return &x509.Certificate{
		RawSubject: r.parsed.RawSubject, DNSNames: r.parsed.DNSNames, IPAddresses: r.parsed.IPAddresses,
	}
}

func newKey() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	return key, nil
}

// encodeKey encodes a key as openssl does.
func encodeKey(key *rsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("cannot encode a key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// half is the first half of a text, as a provider would tell that was killed while it wrote.
func half(text string) string { return text[:len(text)/2] }

// stripped are texts as libraries of version 1 tell them.
func stripped(texts ...string) []string {
	for i, text := range texts {
		texts[i] = strings.TrimSpace(text)
	}
	return texts
}
