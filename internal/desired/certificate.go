package desired

import (
	"errors"
	"fmt"

	"docker-registry-operator/internal/config"
)

// serving is the certificate that the registry serves.
type serving struct {
	// cert is nil for plain HTTP.
	cert *config.Certificate
	// authority is whom clients are told to trust: PEM, "" if nobody.
	authority string
	// issued is the same certificate if it is from a relation.
	issued *Issued
	// notes are sentences for the operator.
	notes []string
}

// serve chooses: the blob options, then a related provider, then the files at the path
// options. An error is a [config.Problems], or [NoCertificate].
func serve(in Input) (serving, error) {
	providers := in.Relations.Certificates
	if blobs := in.Config.TLS.Blobs; blobs != nil {
		served := serving{cert: blobs, authority: authorityOf(blobs)}
		if len(providers) > 0 {
			served.notes = []string{"TLS is from the options; cert-provider is not used."}
		}
		return served, nil
	}
	served := answered(in)
	if served.cert != nil {
		return served, nil
	}
	cert, err := fromFiles(in)
	if err != nil {
		return serving{}, err
	}
	if cert != nil {
		served.cert, served.authority = cert, authorityOf(cert)
		return served, nil
	}
	switch {
	case in.Config.TLS.Clients == nil:
		return served, nil
	case len(providers) > 0:
		return serving{}, &NoCertificate{Provider: providers[0].Application}
	}
	return serving{}, problem("tls-client-ca", "needs TLS: set tls-cert-blob and tls-key-blob, integrate cert-provider, or put files at tls-cert-path and tls-key-path")
}

// authorityOf is whom clients must trust to trust a certificate, "" if they know.
func authorityOf(cert *config.Certificate) string {
	switch {
	case cert.CA != nil:
		return string(cert.CA)
	case cert.SelfSigned:
		return string(cert.Chain)
	}
	return ""
}

// NoCertificate says that the registry may not serve before a provider has answered.
type NoCertificate struct {
	Provider string
}

// Error names the provider, and the option that demands its certificate.
func (n *NoCertificate) Error() string {
	return fmt.Sprintf("waiting for a certificate from %s, which option %q needs", n.Provider, "tls-client-ca")
}

// fromFiles is the certificate at the path options, nil if nothing is there.
func fromFiles(in Input) (*config.Certificate, error) {
	tls, layout, files := in.Config.TLS, in.Facts.Layout, in.Facts.Files
	chain, key := files[layout.On(tls.CertPath)], files[layout.On(tls.KeyPath)]
	switch {
	case chain == nil && key == nil:
		return nil, nil
	case chain == nil:
		return nil, problem("tls-cert-path", missing(tls.CertPath, "certificate", "key", tls.KeyPath))
	case key == nil:
		return nil, problem("tls-key-path", missing(tls.KeyPath, "key", "certificate", tls.CertPath))
	}
	cert, err := config.ParseCertificate(chain, key, files[layout.On(tls.CAPath)])
	if err != nil {
		return nil, unusable(tls, err)
	}
	return &cert, nil
}

// unusable is what is wrong with a file, by the option that names it.
func unusable(tls config.TLS, err error) error {
	var bad *config.CertificateError
	if !errors.As(err, &bad) {
		return err
	}
	file := map[config.Part]string{
		config.CertPart: tls.CertPath,
		config.KeyPart:  tls.KeyPath,
		config.CAPart:   tls.CAPath,
	}[bad.Part]
	return problem(fmt.Sprintf("tls-%s-path", bad.Part), fmt.Sprintf("%s %v", file, bad))
}

func missing(name, what, other, otherName string) string {
	return fmt.Sprintf("no %s at %s, but there is a %s at %s; put the %s there, or remove the %s to serve plain HTTP",
		what, name, other, otherName, what, other)
}

func problem(option, text string) config.Problems {
	return config.Problems{{Option: option, Text: text}}
}
