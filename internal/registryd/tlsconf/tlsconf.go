// Package tlsconf turns the http.tls section of a configuration into what crypto/tls
// wants, with the meaning that the stock registry gives it. It leaves to its caller
// which connections speak TLS.
package tlsconf

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"golang.org/x/crypto/acme"
)

// Setup is a TLS configuration and what is known of its certificate.
type Setup struct {
	Config *tls.Config
	pair   *pair
}

// NotAfter is when the certificate that is now served expires, or the zero time when
// certificates come from an ACME server.
func (s *Setup) NotAfter() time.Time {
	if s.pair == nil {
		return time.Time{}
	}
	return s.pair.current().Leaf.NotAfter
}

// For returns the setup that conf asks for, or nil if it asks for plain HTTP. Later
// changes of the certificate's files are noticed; log gets those that cannot be used.
func (i *Issuers) For(conf configuration.HTTP, log *slog.Logger) (*Setup, error) {
	section := conf.TLS
	if section.Certificate == "" && section.LetsEncrypt.CacheFile == "" {
		return nil, nil
	}
	minimum, err := version(section.MinimumTLS)
	if err != nil {
		return nil, err
	}
	suites, err := cipherSuites(section.CipherSuites)
	if err != nil && minimum == tls.VersionTLS12 {
		return nil, err
	}
	config := &tls.Config{MinVersion: minimum, CipherSuites: suites, NextProtos: []string{"h2", "http/1.1"}}
	// Small records let a browser show the first line sooner; of a blob they make the first 128 KiB cost as much
	// as the next megabyte.
	config.DynamicRecordSizingDisabled = true
	if conf.HTTP2.Disabled {
		config.NextProtos = []string{"http/1.1"}
	}
	if err := clientAuth(config, section); err != nil {
		return nil, err
	}
	setup := &Setup{Config: config}
	if section.LetsEncrypt.CacheFile == "" {
		setup.pair, err = loadPair(section.Certificate, section.Key, log)
		if err != nil {
			return nil, err
		}
		config.GetCertificate = setup.pair.get
		return setup, nil
	}
	if section.Certificate != "" {
		return nil, errors.New("cannot specify both certificate and Let's Encrypt")
	}
	config.GetCertificate = i.manager(section.LetsEncrypt).GetCertificate
	config.NextProtos = append(config.NextProtos, acme.ALPNProto)
	return setup, nil
}

func version(name string) (uint16, error) {
	switch name {
	case "", "tls1.2":
		return tls.VersionTLS12, nil
	case "tls1.3":
		return tls.VersionTLS13, nil
	default:
		return 0, fmt.Errorf("unknown minimum TLS level %q specified for http.tls.minimumtls", name)
	}
}

// modern are the cipher suites of TLS 1.2 that have a key exchange of their own for each
// connection and authenticate what they encrypt. TLS 1.3 has no others.
var modern = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
}

func cipherSuites(names []string) ([]uint16, error) {
	if len(names) == 0 {
		return modern, nil
	}
	known := make(map[string]uint16)
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		known[suite.Name] = suite.ID
	}
	ids := make([]uint16, len(names))
	for i, name := range names {
		id, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("unknown TLS cipher suite %q specified for http.tls.cipherSuites", name)
		}
		if !slices.Contains(modern, id) && !onlyTLS13(id) {
			return nil, fmt.Errorf("cannot use TLS cipher suite %q of http.tls.ciphersuites: it is out of date, use suites of %s",
				name, strings.Join(modernNames(), ", "))
		}
		ids[i] = id
	}
	return ids, nil
}

// onlyTLS13 reports whether id is of TLS 1.3 alone; crypto/tls chooses among those by itself.
func onlyTLS13(id uint16) bool {
	return slices.ContainsFunc(tls.CipherSuites(), func(suite *tls.CipherSuite) bool {
		return suite.ID == id && !slices.Contains(suite.SupportedVersions, tls.VersionTLS12)
	})
}

func modernNames() []string {
	names := make([]string, len(modern))
	for i, id := range modern {
		names[i] = tls.CipherSuiteName(id)
	}
	return names
}
