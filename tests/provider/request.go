package provider

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A request is what a unit asks for, in both versions.
type request struct {
	// unit is the unit's name as keys have it, and name the one that the certificate is for first.
	unit, name string
	sans       []string
	// csr is the text of the signing request as the unit wrote it.
	csr    string
	parsed *x509.CertificateRequest
}

// readRequest reads a unit's databag as the providers that read it most strictly do. It is false for a
// unit that does not ask yet. A charm that speaks both versions must ask for the same in both.
func readRequest(bag map[string]string) (request, bool, error) {
	r := request{unit: bag["unit_name"], name: bag["common_name"]}
	signing := bag["certificate_signing_requests"]
	if r.name == "" && signing == "" {
		return request{}, false, nil
	}
	if r.unit == "" || bag["certificate_name"] == "" || strings.Contains(r.unit, "/") {
		return request{}, false, fmt.Errorf("unit_name is %q and certificate_name %q", r.unit, bag["certificate_name"])
	}
	if err := strictly(bag["sans"], &r.sans); err != nil {
		return request{}, false, fmt.Errorf("sans: %w", err)
	}
	if !slices.IsSorted(r.sans) || len(slices.Compact(slices.Clone(r.sans))) != len(r.sans) {
		return request{}, false, fmt.Errorf("sans are not sorted, or one is there twice: %q", r.sans)
	}
	if err := r.readSigning(signing); err != nil {
		return request{}, false, fmt.Errorf("certificate_signing_requests: %w", err)
	}
	for _, name := range r.sans {
		if !slices.Contains(r.signed(), name) {
			return request{}, false, fmt.Errorf("sans has %q, the signing request is for %q", name, r.signed())
		}
	}
	return r, true, nil
}

// readSigning holds to the JSON schema of version 1, and to what the libraries of its providers make of
// what passes that: the newest wants ca to be there and a boolean, older ones compare the request's text
// with what they have stripped of white space.
func (r *request) readSigning(text string) error {
	var entries []struct {
		Request *string `json:"certificate_signing_request"`
		CA      *bool   `json:"ca"`
	}
	if err := strictly(text, &entries); err != nil {
		return err
	}
	if len(entries) != 1 || entries[0].Request == nil || entries[0].CA == nil || *entries[0].CA {
		return fmt.Errorf("want one request with ca false: %s", text)
	}
	r.csr = *entries[0].Request
	if strings.TrimSpace(r.csr) != r.csr {
		return errors.New("the request is not stripped of white space")
	}
	block, rest := pem.Decode([]byte(r.csr + "\n"))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) > 0 {
		return errors.New("the request is not PEM, or not one")
	}
	var err error
	if r.parsed, err = x509.ParseCertificateRequest(block.Bytes); err != nil {
		return err
	}
	if err := r.parsed.CheckSignature(); err != nil {
		return fmt.Errorf("the request is not signed by its key: %w", err)
	}
	if r.parsed.Subject.CommonName != r.name {
		return fmt.Errorf("the request is for %q, common_name is %q", r.parsed.Subject.CommonName, r.name)
	}
	return nil
}

// signed are the names in the signing request.
func (r request) signed() []string {
	names := slices.Clone(r.parsed.DNSNames)
	for _, address := range r.parsed.IPAddresses {
		names = append(names, address.String())
	}
	return names
}

// strictly decodes one JSON value that has no unknown keys.
func strictly(text string, v any) error {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if decoder.More() {
		return fmt.Errorf("more than one value: %s", text)
	}
	return nil
}
