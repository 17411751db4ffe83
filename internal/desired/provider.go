package desired

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/relation"
)

// CertificateRequest is the certificate that the unit asks its providers for.
type CertificateRequest struct {
	CommonName string
	// SANs are host names and addresses, ascending.
	SANs []string
	// CSR (PEM) is for the same names, and signed by Key, which never leaves the unit.
	CSR string
	Key config.Secret
	// Asked is when, in seconds since 1970 UTC.
	Asked int64
}

// Issued is a certificate that a provider has issued.
type Issued struct {
	// Relation is the ID of the relation that it came over, and Version that of the
	// interface.
	Relation string
	Version  int
	// Certificate is checked to be signed by its CA.
	Certificate config.Certificate
	// Authority is whom clients are told to trust (PEM), as the provider writes it.
	Authority string
}

// renewAt is the part of a certificate's validity, in hundredths, after which another
// one is asked for, and patience the part that a request is left alone before it is
// made anew, should its answer be as old.
const renewAt, patience = 90, 1

// hundredth is a part of the certificate's validity, in seconds.
func hundredths(cert config.Certificate, n int64) int64 {
	return (cert.NotAfter - cert.NotBefore) * n / 100
}

// Names are what the unit's certificate should be for; false if there is nobody to ask.
func Names(in Input) (commonName string, sans []string, wanted bool) {
	if len(in.Relations.Certificates) == 0 {
		return "", nil, false
	}
	facts := in.Facts
	names := slices.Concat(facts.Addresses, proxyAddresses(in), []string{
		facts.Public, facts.Hostname, hostOf(in.Config.HTTP.Host.Netloc), "localhost", "127.0.0.1",
	})
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
	return facts.Address(), names, true
}

// MustAsk says that the unit's request does not do: there is none, it is for other
// names, its certificate was revoked, or is about to end.
func MustAsk(in Input) bool {
	commonName, sans, wanted := Names(in)
	request := in.Facts.Request
	switch {
	case !wanted:
		return false
	case request == nil || request.CommonName != commonName || !sameNames(request.SANs, sans):
		return true
	}
	for _, provider := range in.Relations.Certificates {
		answers, _ := relation.CertificateAnswers(provider, request.told(in))
		for _, answer := range answers {
			if answer.Version == 1 && (answer.Revoked || ends(in, provider, answer)) {
				return true
			}
		}
	}
	return false
}

// ends says that the certificate is near the end of its validity, and that its request
// was not made just now.
func ends(in Input, provider relation.Relation, answer relation.CertificateAnswer) bool {
	issued, err := accept(in, provider, answer)
	if err != nil {
		return false
	}
	cert, now := issued.Certificate, in.Facts.Now
	return now >= cert.NotBefore+hundredths(cert, renewAt) && now >= in.Facts.Request.Asked+hundredths(cert, patience)
}

// sameNames compares but for the names of the machine itself, for which the charm that
// this one replaces did not ask: a provider need not issue anew for them.
func sameNames(a, b []string) bool {
	significant := func(names []string) []string {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return name == "localhost" || name == "127.0.0.1"
		})
		slices.Sort(names)
		return slices.Compact(names)
	}
	return slices.Equal(significant(a), significant(b))
}

// told is the request as providers are told.
func (r CertificateRequest) told(in Input) relation.CertificateRequest {
	return relation.CertificateRequest{Unit: in.Facts.Unit, CommonName: r.CommonName, SANs: r.SANs, CSR: r.CSR}
}

// Requests are what the providers are to be told. It does not wait for the rest of the
// state, which may depend on what they answer.
func Requests(in Input) []Databag {
	bags := bucketRequests(in)
	request := in.Facts.Request
	if request == nil {
		return bags
	}
	for _, provider := range in.Relations.Certificates {
		bag := request.told(in).Bag()
		if sameNames(relation.RequestedSANs(provider.Own), request.SANs) {
			relation.KeepNames(bag, provider.Own)
		}
		bags = append(bags, Databag{Relation: provider.ID, Now: provider.Own, Settings: bag})
	}
	return bags
}

// answered is the best of the providers' answers, or else the certificate that was
// taken from one of them before: what fits is served, whatever else they say.
func answered(in Input) serving {
	var usable []Issued
	var notes []string
	for _, provider := range in.Relations.Certificates {
		found, note := look(in, provider)
		usable = append(usable, found...)
		notes = append(notes, note)
	}
	if len(usable) > 0 {
		best := slices.MaxFunc(usable, func(a, b Issued) int { return cmp.Compare(a.Version, b.Version) })
		return best.serving(nil)
	}
	if kept := in.Facts.Issued; kept != nil && slices.ContainsFunc(in.Relations.Certificates,
		func(provider relation.Relation) bool { return provider.ID == kept.Relation }) {
		return kept.serving(notes)
	}
	return serving{notes: notes}
}

func (i Issued) serving(notes []string) serving {
	return serving{cert: &i.Certificate, authority: i.Authority, issued: &i, notes: notes}
}

// look is what one provider has for the unit's request, and what the operator should
// know if that is nothing.
func look(in Input, provider relation.Relation) (usable []Issued, note string) {
	note = fmt.Sprintf("Waiting for a certificate from %s.", provider.Application)
	revoked := fmt.Sprintf("%s revoked the certificate; waiting for another.", provider.Application)
	if kept := in.Facts.Issued; kept != nil && relation.Revoked(provider, string(config.Leaf(kept.Certificate.Chain))) {
		note = revoked
	}
	if in.Facts.Request == nil {
		return nil, note
	}
	refuse := func(err error) {
		note = fmt.Sprintf("The certificate from %s is not used: %v.", provider.Application, err)
	}
	answers, err := relation.CertificateAnswers(provider, in.Facts.Request.told(in))
	if err != nil {
		refuse(err)
	}
	for _, answer := range answers {
		if answer.Revoked {
			note = revoked
			continue
		}
		issued, err := accept(in, provider, answer)
		if err != nil {
			refuse(err)
			continue
		}
		usable = append(usable, issued)
	}
	return usable, note
}

// accept checks an answer. The root that stands above it is what clients should trust,
// since not all of them are content with less.
func accept(in Input, provider relation.Relation, answer relation.CertificateAnswer) (Issued, error) {
	key := answer.Key
	if answer.Version == 1 {
		key = in.Facts.Request.Key
	}
	further := []byte(strings.Join(answer.Chain, "\n"))
	authority := answer.CA
	// A provider may tell a chain that is older than what it says beside it.
	if roots := config.Roots(further); config.SignedBy([]byte(answer.Certificate+"\n"+string(further)), roots) {
		authority = string(roots)
	}
	cert, err := config.ParseCertificate([]byte(answer.Certificate), []byte(key.Reveal()), []byte(authority))
	var bad *config.CertificateError
	switch {
	case errors.As(err, &bad):
		return Issued{}, fmt.Errorf("its %s %w", partName(bad.Part), err)
	case err != nil:
		return Issued{}, err
	case cert.CA == nil:
		return Issued{}, errors.New("no authority came with it")
	case cert.Authority:
		return Issued{}, errors.New("it is that of an authority")
	}
	cert.Chain = config.Ascending(cert.Chain, further)
	kept := in.Facts.Issued
	switch {
	case !config.SignedBy(cert.Chain, cert.CA):
		return Issued{}, errors.New("it is not signed by the authority that came with it")
	case cert.ExpiredAt(in.Facts.Now) && kept != nil && !kept.Certificate.ExpiredAt(in.Facts.Now):
		return Issued{}, errors.New("it has expired")
	}
	return Issued{Relation: provider.ID, Version: answer.Version, Certificate: cert, Authority: authority}, nil
}

func partName(part config.Part) string {
	return map[config.Part]string{config.CertPart: "certificate", config.KeyPart: "key", config.CAPart: "authority"}[part]
}
