package config

import (
	"errors"
	"path"
	"strings"
)

// TLS says where the certificate comes from.
type TLS struct {
	// CertPath, KeyPath and CAPath are absolute, clean paths on the host, or "". The
	// files need not exist unless Blobs is set.
	CertPath, KeyPath, CAPath string
	// Blobs is what the tls-*-blob options hold, decoded and checked; nil if they
	// are not set. It is written to the paths above, which then differ; CAPath may be
	// "" only if it has no CA.
	Blobs *Certificate
	// Clients is who must show a certificate; nil: nobody is asked.
	Clients *ClientAuth
	// Minimum is the oldest version of TLS that is spoken, "1.2" or "1.3".
	Minimum string
	// Reencrypt says that a related proxy ends the clients' TLS itself and speaks TLS of
	// its own with the registry, which it knows by CAPath; otherwise it passes theirs
	// through.
	Reencrypt bool
}

// The values of option website-tls.
const (
	passThrough = "passthrough"
	reencrypt   = "reencrypt"
)

// ClientAuth is mutual TLS: clients' certificates are checked against CA.
type ClientAuth struct {
	CA []byte // PEM, at least one certificate
	// Required refuses clients without a certificate; otherwise one is only asked for.
	Required bool
}

func (r *reader) tls() TLS {
	tls := TLS{
		CertPath: r.path("tls-cert-path"),
		KeyPath:  r.path("tls-key-path"),
		CAPath:   r.path("tls-ca-path"),
		Blobs:    r.blobs(),
		Clients:  r.clients(),
		Minimum:  r.choice("tls-min-version", "1.2", "1.3"),
	}
	if tls.Blobs != nil {
		r.distinct(tls)
	}
	if r.choice("website-tls", passThrough, reencrypt) == reencrypt {
		r.onProxy("tls-ca-path", tls.CAPath)
		tls.Reencrypt = true
	}
	return tls
}

// path is an option that holds an absolute path of a file that the charm does not
// need for itself.
func (r *reader) path(name string) string {
	text := r.text(name)
	if text == "" {
		return ""
	}
	clean := path.Clean(text)
	switch {
	case !path.IsAbs(text) || strings.HasSuffix(text, "/"):
		r.complain(name, "must be the absolute path of a file")
		return ""
	case reserved(clean):
		r.complain(name, "must not be a file that the charm writes for the registry: %s", clean)
		return ""
	}
	return clean
}

// onProxy demands a path that can stand in the configuration of a proxy.
func (r *reader) onProxy(name, file string) {
	odd := func(c rune) bool { return strings.ContainsRune(" \t,[]{}\"'\\#:", c) }
	switch {
	case r.complained(name):
	case file == "":
		r.complain(name, `must be set with "website-tls" reencrypt: where the proxy has the registry's authority`)
	case strings.ContainsFunc(file, odd):
		r.complain(name, `must not contain blanks, quotes, brackets, commas or colons with "website-tls" reencrypt`)
	}
}

// reserved says that the charm itself owns the path, in the directory of the
// registry's configuration.
func reserved(clean string) bool {
	rest, inside := strings.CutPrefix(clean, "/etc/docker/registry/")
	if !inside {
		return false
	}
	first, _, _ := strings.Cut(rest, "/")
	switch first {
	case "config.yml", "environment", "htpasswd", "policy", "storage", "tls", "token":
		return true
	}
	return false
}

// distinct demands a path of its own for each blob.
func (r *reader) distinct(tls TLS) {
	taken := map[string]string{}
	claim := func(option, file string, needed bool) {
		switch other, used := taken[file]; {
		case !needed:
		case r.complained(option):
		case file == "":
			r.complain(option, "must be set: the certificate of the tls-*-blob options is written there")
		case used:
			r.complain(option, "must differ from %q", other)
		default:
			taken[file] = option
		}
	}
	claim("tls-cert-path", tls.CertPath, true)
	claim("tls-key-path", tls.KeyPath, true)
	claim("tls-ca-path", tls.CAPath, tls.Blobs.CA != nil)
}

// blobs is the certificate of the tls-*-blob options, nil without one or if one of
// the options is wrong.
func (r *reader) blobs() *Certificate {
	before := len(r.problems)
	cert, key, ca := r.blob("tls-cert-blob"), r.blob("tls-key-blob"), r.blob("tls-ca-blob")
	if len(r.problems) > before || cert == nil && key == nil && ca == nil {
		return nil
	}
	if cert == nil {
		r.complain("tls-cert-blob", `must be set together with "tls-key-blob"`)
	}
	if key == nil {
		r.complain("tls-key-blob", `must be set together with "tls-cert-blob"`)
	}
	if cert == nil || key == nil {
		return nil
	}
	certificate, err := ParseCertificate(cert, key, ca)
	if err != nil {
		r.complain("tls-"+string(partOf(err))+"-blob", "%v", err)
		return nil
	}
	return &certificate
}

func partOf(err error) Part {
	var bad *CertificateError
	if errors.As(err, &bad) {
		return bad.Part
	}
	return CertPart
}

func (r *reader) clients() *ClientAuth {
	ca := r.blob("tls-client-ca")
	mode := r.choice("tls-client-auth", "require", "request")
	if ca == nil {
		return nil
	}
	bundle, err := parseBundle(ca)
	if err != nil {
		r.complain("tls-client-ca", "%v", err)
		return nil
	}
	return &ClientAuth{CA: bundle, Required: mode == "require"}
}
