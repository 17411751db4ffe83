package operator

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// Records of what the unit asks its providers for, and of the certificate of a relation
// that it served last. Both hold a private key; records are for root alone.
const (
	requestRecord = "certificate-request"
	issuedRecord  = "certificate"
)

// keyBits is the size of RSA keys: some providers sign for no other kind, and 2048 bits
// are what all of them take.
const keyBits = 2048

// uniqueIdentifier is the attribute by which providers tell a renewal from the request
// before it: x500UniqueIdentifier, RFC 4519.
var uniqueIdentifier = asn1.ObjectIdentifier{2, 5, 4, 45}

type requestRecorded struct {
	CommonName string   `json:"common-name"`
	SANs       []string `json:"sans"`
	CSR        string   `json:"csr"`
	Key        string   `json:"key"`
	Asked      int64    `json:"asked"`
}

type issuedRecorded struct {
	Relation  string `json:"relation"`
	Version   int    `json:"version"`
	Chain     string `json:"chain"`
	Key       string `json:"key"`
	Authority string `json:"authority"`
}

// request sees to it that the unit asks for the certificate that it needs. A new request
// is recorded before anybody is told, so that its key is never lost.
func (o *Operator) request(in *desired.Input) error {
	if !desired.MustAsk(*in) {
		return nil
	}
	name, sans, _ := desired.Names(*in)
	request, err := newRequest(name, sans)
	if err != nil {
		return fmt.Errorf("cannot request a certificate: %w", err)
	}
	request.Asked = in.Facts.Now
	in.Facts.Request = &request
	o.Log.Info("certificate requested", "names", sans)
	return o.record(requestRecord, requestRecorded{
		CommonName: request.CommonName, SANs: request.SANs, CSR: request.CSR, Key: request.Key.Reveal(), Asked: request.Asked,
	})
}

// newRequest makes a key and a request that it signs.
func newRequest(name string, sans []string) (desired.CertificateRequest, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return desired.CertificateRequest{}, err
	}
	template := x509.CertificateRequest{Subject: pkix.Name{
		CommonName: name,
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: uniqueIdentifier, Value: rand.Text()}},
	}}
	for _, san := range sans {
		if address := net.ParseIP(san); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
			continue
		}
		template.DNSNames = append(template.DNSNames, san)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		return desired.CertificateRequest{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return desired.CertificateRequest{}, err
	}
	return desired.CertificateRequest{
		CommonName: name, SANs: sans, CSR: encodePEM("CERTIFICATE REQUEST", csr),
		Key: config.NewSecret(encodePEM("PRIVATE KEY", private)),
	}, nil
}

func encodePEM(kind string, content []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
}

// keep remembers the certificate of a relation that is served, should its provider
// say something else one day.
func (o *Operator) keep(issued *desired.Issued) error {
	if issued == nil {
		return nil
	}
	return o.record(issuedRecord, issuedRecorded{
		Relation: issued.Relation, Version: issued.Version, Chain: string(issued.Certificate.Chain),
		Key: issued.Certificate.Key.Reveal(), Authority: issued.Authority,
	})
}

// recall is what request and keep have recorded. A record that cannot be read is as good
// as none: what it held is asked for again.
func (o *Operator) recall() (*desired.CertificateRequest, *desired.Issued, error) {
	var request *desired.CertificateRequest
	asked, err := recorded[requestRecorded](o.Host, requestRecord)
	if err == nil && asked != nil {
		request = &desired.CertificateRequest{
			CommonName: asked.CommonName, SANs: asked.SANs, CSR: asked.CSR, Key: config.NewSecret(asked.Key), Asked: asked.Asked,
		}
	}
	kept, errKept := recorded[issuedRecorded](o.Host, issuedRecord)
	if err := errors.Join(err, errKept); err != nil || kept == nil {
		return request, nil, err
	}
	cert, err := config.ParseCertificate([]byte(kept.Chain), []byte(kept.Key), []byte(kept.Authority))
	if err != nil {
		o.Log.Warn("certificate forgotten", "reason", err)
		return request, nil, nil
	}
	return request, &desired.Issued{
		Relation: kept.Relation, Version: kept.Version, Certificate: cert, Authority: kept.Authority,
	}, nil
}

// forgetCertificates forgets what concerned providers that are all gone.
func (o *Operator) forgetCertificates() error {
	return errors.Join(o.Host.SetRecord(requestRecord, ""), o.Host.SetRecord(issuedRecord, ""))
}

func (o *Operator) record(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("cannot record %s: %w", name, err)
	}
	return o.Host.SetRecord(name, string(text))
}

// recorded is a value that was recorded, nil if none was or it cannot be read.
func recorded[T any](host Host, name string) (*T, error) {
	text, err := host.Record(name)
	if err != nil || text == "" {
		return nil, err
	}
	value := new(T)
	if json.Unmarshal([]byte(text), value) != nil {
		return nil, nil
	}
	return value, nil
}
