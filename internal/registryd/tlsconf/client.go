package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/distribution/distribution/v3/configuration"
)

// errNoCertificate means that a client must show a certificate and has shown none.
var errNoCertificate = errors.New("client has no certificate")

func clientAuth(config *tls.Config, section configuration.TLS) error {
	if len(section.ClientCAs) == 0 {
		if section.ClientAuth != "" {
			return fmt.Errorf("http.tls.clientauth is %q, but http.tls.clientcas names no file with authorities: add it, or remove clientauth", section.ClientAuth)
		}
		return nil
	}
	pool := x509.NewCertPool()
	for _, path := range section.ClientCAs {
		pem, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot read client CA: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return fmt.Errorf("cannot read client CA %q: no certificate in it", path)
		}
	}
	mode, err := clientAuthMode(string(section.ClientAuth))
	config.ClientCAs, config.ClientAuth = pool, mode
	return err
}

func clientAuthMode(name string) (tls.ClientAuthType, error) {
	switch name {
	case configuration.ClientAuthRequestClientCert:
		return tls.RequestClientCert, nil
	case configuration.ClientAuthRequireAnyClientCert:
		return tls.RequireAnyClientCert, nil
	case configuration.ClientAuthVerifyClientCertIfGiven:
		return tls.VerifyClientCertIfGiven, nil
	case "", configuration.ClientAuthRequireAndVerifyClientCert:
		return tls.RequireAndVerifyClientCert, nil
	default:
		return 0, fmt.Errorf("unknown client auth mode %q specified for http.tls.clientauth", name)
	}
}

// Verify checks the client of a connection as a handshake by this setup would. state is that of
// a handshake by another one, nil if there was none. A nil setup, plain HTTP, lets everybody
// pass.
func (s *Setup) Verify(state *tls.ConnectionState) error {
	if s == nil {
		return nil
	}
	var shown []*x509.Certificate
	if state != nil {
		shown = state.PeerCertificates
	}
	mode := s.Config.ClientAuth
	if len(shown) == 0 {
		if mode == tls.RequireAnyClientCert || mode == tls.RequireAndVerifyClientCert {
			return errNoCertificate
		}
		return nil
	}
	if mode != tls.VerifyClientCertIfGiven && mode != tls.RequireAndVerifyClientCert {
		return nil
	}
	intermediates := x509.NewCertPool()
	for _, certificate := range shown[1:] {
		intermediates.AddCert(certificate)
	}
	_, err := shown[0].Verify(x509.VerifyOptions{
		Roots: s.Config.ClientCAs, Intermediates: intermediates,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("cannot verify the client's certificate: %w", err)
	}
	return nil
}
