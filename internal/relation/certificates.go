package relation

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"docker-registry-operator/internal/config"
)

// Keys of tls-certificates that both sides know.
const (
	nameKey     = "common_name"
	sansKey     = "sans"
	requestsKey = "certificate_signing_requests"
	answersKey  = "certificates"
)

// CertificateRequest is what a unit asks of a provider of tls-certificates.
type CertificateRequest struct {
	// Unit is the unit's name, `docker-registry/0`.
	Unit       string
	CommonName string
	// SANs are host names and addresses, ascending.
	SANs []string
	// CSR is the PEM text of a certificate signing request for the same names.
	CSR string
}

// Bag asks in both versions of the interface, whose providers leave the other's keys
// alone: in version 0 the provider makes the key, in version 1 it signs the request.
func (r CertificateRequest) Bag() Bag {
	name := underscored(r.Unit)
	return Bag{
		"unit_name":        name,
		nameKey:            r.CommonName,
		"certificate_name": name,
		sansKey:            quoteList(r.SANs),
		requestsKey:        `[{"certificate_signing_request":` + quote(strings.TrimSpace(r.CSR)) + `,"ca":false}]`,
	}
}

// RequestedSANs are the names that a unit's bag asks for, nil if it asks for none.
func RequestedSANs(own Bag) []string {
	var sans []string
	if json.Unmarshal([]byte(own[sansKey]), &sans) != nil {
		return nil
	}
	return sans
}

// KeepNames leaves the names of a bag as own has them, because a provider that is asked
// for other ones issues anew.
func KeepNames(bag, own Bag) {
	for _, key := range []string{nameKey, sansKey} {
		if own[key] != "" {
			bag[key] = own[key]
		}
	}
}

// CertificateAnswer is what a provider says to a request: PEM texts, none of them
// checked.
type CertificateAnswer struct {
	// Version is that of the interface, 0 or 1.
	Version int
	// Certificate is the leaf; Chain may hold it, and those above it.
	Certificate string
	Chain       []string
	CA          string
	// Key is set in version 0; in version 1 it is the requester's own.
	Key     config.Secret
	Revoked bool
}

var errAnswers = errors.New("what it says cannot be understood")

// CertificateAnswers are the answers to a request, of version 1 first. They come with
// an error if a part of what the provider says cannot be read.
func CertificateAnswers(r Relation, request CertificateRequest) ([]CertificateAnswer, error) {
	signed, err := signedAnswers(r.App, request.CSR)
	made, errMade := madeAnswer(r.merged(), request)
	return append(signed, made...), errors.Join(err, errMade)
}

// Revoked says that the provider has revoked a certificate (PEM), whatever request it
// was for: the unit may have made another one since.
func Revoked(r Relation, certificate string) bool {
	entries, err := readEntries(r.App)
	return err == nil && slices.ContainsFunc(entries, func(e entry) bool {
		return e.Revoked && strings.TrimSpace(e.Certificate) == strings.TrimSpace(certificate)
	})
}

// entry is one answer of version 1, to any unit.
type entry struct {
	Certificate string   `json:"certificate"`
	CSR         string   `json:"certificate_signing_request"`
	CA          string   `json:"ca"`
	Chain       []string `json:"chain"`
	Revoked     bool     `json:"revoked"`
}

func readEntries(app Bag) ([]entry, error) {
	text := app[answersKey]
	if text == "" {
		return nil, nil
	}
	var entries []entry
	if json.Unmarshal([]byte(text), &entries) != nil {
		return nil, errAnswers
	}
	return entries, nil
}

func signedAnswers(app Bag, csr string) ([]CertificateAnswer, error) {
	entries, err := readEntries(app)
	if err != nil {
		return nil, err
	}
	csr = strings.TrimSpace(csr)
	var answers []CertificateAnswer
	for _, entry := range entries {
		if csr == "" || strings.TrimSpace(entry.CSR) != csr {
			continue
		}
		answers = append(answers, CertificateAnswer{
			Version: 1, Certificate: entry.Certificate, Chain: entry.Chain, CA: entry.CA, Revoked: entry.Revoked,
		})
	}
	return answers, nil
}

// madeAnswer is the answer of version 0: at the unit's own keys or, where the common
// name is not the first that the unit asked for, among its further requests. Half an
// answer is none.
func madeAnswer(bag Bag, request CertificateRequest) ([]CertificateAnswer, error) {
	name := underscored(request.Unit)
	type pair struct{ Cert, Key string }
	found := pair{bag[name+".server.cert"], bag[name+".server.key"]}
	var err error
	if text := bag[name+".processed_requests"]; text != "" && (found.Cert == "" || found.Key == "") {
		further := map[string]pair{}
		if json.Unmarshal([]byte(text), &further) != nil {
			err = errAnswers
		}
		found = further[request.CommonName]
	}
	if found.Cert == "" || found.Key == "" || bag["ca"] == "" {
		return nil, err
	}
	answer := CertificateAnswer{Certificate: found.Cert, Key: config.NewSecret(found.Key), CA: bag["ca"]}
	if chain := bag["chain"]; chain != "" {
		answer.Chain = []string{chain}
	}
	return []CertificateAnswer{answer}, err
}
