package config

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"slices"
)

// maxChain bounds how many authorities stand above a certificate.
const maxChain = 8

// Roots are the certificates of a PEM text that have signed themselves, nil if none.
func Roots(text []byte) []byte {
	var roots bytes.Buffer
	for _, certificate := range parseAll(text) {
		if selfSigned(certificate) {
			roots.Write(encodeCertificate(certificate))
		}
	}
	return roots.Bytes()
}

// SignedBy says that the first certificate of chain (PEM) leads, by way of the others,
// to one of authorities (PEM). When they are valid does not matter.
func SignedBy(chain, authorities []byte) bool {
	below, above := parseAll(chain), parseAll(authorities)
	if len(below) == 0 {
		return false
	}
	signed := func(by *x509.Certificate) func(*x509.Certificate) bool {
		return func(parent *x509.Certificate) bool { return by.CheckSignatureFrom(parent) == nil }
	}
	certificate := below[0]
	for range maxChain {
		if slices.ContainsFunc(above, signed(certificate)) {
			return true
		}
		next := slices.IndexFunc(below, signed(certificate))
		if next < 0 || below[next] == certificate {
			return false
		}
		certificate = below[next]
	}
	return false
}

// Ascending is a chain (PEM): the first certificate and those after it and of further
// that stand above it, each above the one before, without a root, which clients know or
// do not trust.
func Ascending(first, further []byte) []byte {
	all := slices.Concat(parseAll(first), parseAll(further))
	if len(all) == 0 {
		return first
	}
	chain := all[:1:1]
	for len(chain) < maxChain {
		last := chain[len(chain)-1]
		next := slices.IndexFunc(all, func(above *x509.Certificate) bool {
			known := slices.ContainsFunc(chain, above.Equal)
			return !known && !selfSigned(above) && last.CheckSignatureFrom(above) == nil
		})
		if next < 0 {
			break
		}
		chain = append(chain, all[next])
	}
	var text bytes.Buffer
	for _, certificate := range chain {
		text.Write(encodeCertificate(certificate))
	}
	return text.Bytes()
}

// Leaf is the first certificate of a chain (PEM), nil if there is none.
func Leaf(chain []byte) []byte {
	all := parseAll(chain)
	if len(all) == 0 {
		return nil
	}
	return encodeCertificate(all[0])
}

// ParseAuthorities are the certificates of a PEM text, without whatever else stands there.
// That none can be read is an error, to stand behind the name of what holds the text.
func ParseAuthorities(text []byte) ([]byte, error) { return parseBundle(text) }

// parseAll are the certificates of a PEM text that can be read.
func parseAll(text []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			all = append(all, certificate)
		}
	}
	return all
}

func encodeCertificate(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}
