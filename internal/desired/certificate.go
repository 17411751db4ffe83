package desired

import (
	"errors"
	"fmt"

	"docker-registry-operator/internal/config"
)

// Certificate is what the registry serves, nil for plain HTTP: the blob options,
// else the files at the path options. An error is a [config.Problems].
func Certificate(in Input) (*config.Certificate, error) {
	tls := in.Config.TLS
	if tls.Blobs != nil {
		return tls.Blobs, nil
	}
	layout, files := in.Facts.Layout, in.Facts.Files
	chain, key := files[layout.On(tls.CertPath)], files[layout.On(tls.KeyPath)]
	switch {
	case chain == nil && key == nil && tls.Clients == nil:
		return nil, nil
	case chain == nil && key == nil:
		return nil, problem("tls-client-ca", "needs TLS: set tls-cert-blob and tls-key-blob, or put files at tls-cert-path and tls-key-path")
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
