package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Certificate is a server's certificate with its key, checked to belong together.
type Certificate struct {
	Chain []byte // PEM: the leaf first, then intermediates
	Key   Secret // PEM
	CA    []byte // PEM of the authorities that clients should trust; nil if not given
	// NotBefore is when the leaf's validity begins and NotAfter when it ends, in seconds
	// since 1970 UTC.
	NotBefore, NotAfter int64
	// Authority says that the leaf may sign others, and SelfSigned that it has signed
	// itself.
	Authority, SelfSigned bool
}

// ExpiredAt says that the certificate is no longer valid at a time in seconds since
// 1970 UTC.
func (c Certificate) ExpiredAt(unix int64) bool { return unix > c.NotAfter }

// Part is one of the texts that a certificate is made of.
type Part string

// The parts of a certificate, as the options tls-<part>-blob and tls-<part>-path
// name them.
const (
	CertPart Part = "cert"
	KeyPart  Part = "key"
	CAPart   Part = "ca"
)

// CertificateError says what is wrong with which part. It never holds a secret.
type CertificateError struct {
	Part Part
	Text string
}

// Error is the text alone, to stand behind the name of an option or file.
func (e *CertificateError) Error() string { return e.Text }

// ParseCertificate checks PEM texts: that chain holds certificates, the leaf first,
// that key is the leaf's, and that ca, if it is not empty, holds certificates.
// Whatever else stands in chain and ca is left out of the result. A certificate that
// is expired is taken. An error is a [*CertificateError].
func ParseCertificate(chain, key, ca []byte) (Certificate, error) {
	certificates, err := parseBundle(chain)
	if err != nil {
		return Certificate{}, &CertificateError{CertPart, err.Error()}
	}
	private, err := parseKey(key)
	if err != nil {
		return Certificate{}, &CertificateError{KeyPart, err.Error()}
	}
	pair, err := tls.X509KeyPair(certificates, private)
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "tls: ")
		return Certificate{}, &CertificateError{KeyPart, "cannot be used with the certificate: " + text}
	}
	parsed := Certificate{
		Chain:      certificates,
		Key:        NewSecret(string(private)),
		NotBefore:  pair.Leaf.NotBefore.Unix(),
		NotAfter:   pair.Leaf.NotAfter.Unix(),
		Authority:  pair.Leaf.IsCA,
		SelfSigned: selfSigned(pair.Leaf),
	}
	if len(bytes.TrimSpace(ca)) == 0 {
		return parsed, nil
	}
	parsed.CA, err = parseBundle(ca)
	if err != nil {
		return Certificate{}, &CertificateError{CAPart, err.Error()}
	}
	return parsed, nil
}

// parseBundle is the certificates of a PEM text, of which there must be one.
func parseBundle(text []byte) ([]byte, error) {
	var bundle bytes.Buffer
	blocks := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("PEM block %d is not a certificate", blocks)
		}
		bundle.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
	}
	switch {
	case blocks == 0:
		return nil, errors.New("must be PEM, starting with -----BEGIN CERTIFICATE-----")
	case bundle.Len() == 0:
		return nil, errors.New("must hold a certificate, but its PEM has none")
	}
	return bundle.Bytes(), nil
}

// parseKey is the private key of a PEM text.
func parseKey(text []byte) ([]byte, error) {
	blocks := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, errors.New(`is encrypted: decrypt it with "openssl pkey"`)
		}
		if block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY") {
			return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}), nil
		}
	}
	if blocks == 0 {
		return nil, errors.New("must be PEM, starting with -----BEGIN PRIVATE KEY-----")
	}
	return nil, errors.New("must hold a private key, but its PEM has none")
}

func selfSigned(leaf *x509.Certificate) bool {
	return bytes.Equal(leaf.RawIssuer, leaf.RawSubject) &&
		leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil
}
