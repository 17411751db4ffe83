// Package registryconf renders a unit's configuration as the config.yml of a
// distribution registry: the one that the charm carries, or a stock registry of
// version 2 or 3. It is pure; which files exist and who writes them is left to
// package desired, and values of single options were checked by package config.
package registryconf

import (
	"bytes"
	"fmt"

	"gopkg.in/yaml.v3"

	"docker-registry-operator/internal/config"
)

// Input is all that the rendered configuration depends on. Every path is one that
// the registry sees.
type Input struct {
	Config config.Config
	// Digest is a digest of all other files that the registry reads. It stands in the
	// first line, so that the digest of config.yml tells of them as well.
	Digest string
	// Data is the directory of images, used by the filesystem backend.
	Data string
	// Secret is http.secret, the same on all units.
	Secret config.Secret
	// Realm is what basic authentication calls the registry: the application's name.
	Realm string
	// Htpasswd is the path of the password file, used if users sign in with passwords.
	Htpasswd string
	// Policy is the path of the rules, used with option auth-policy.
	Policy string
	// RootCerts is the path of the bundle of option auth-token-root-certs, used with
	// token authentication.
	RootCerts string
	// Authorities is the path of the bundle by which Redis is known over TLS.
	Authorities string
	// TLS are the files to serve with; nil for plain HTTP.
	TLS *TLS
	// Stock is the major version of a stock registry image, 2 or 3; 0 is the
	// registry that the charm carries.
	Stock int
}

// TLS are the paths of the files that the registry serves HTTPS with.
type TLS struct {
	// Certificate is a PEM chain, the leaf first; Key is its key.
	Certificate, Key string
	// ClientCAs is a PEM bundle, used if the configuration asks for clients' certificates.
	ClientCAs string
}

// Render is the registry's config.yml, the same bytes for the same input. An error
// is of type [config.Problems]: options that contradict each other, or that the
// chosen image cannot serve.
func Render(in Input) ([]byte, error) {
	problems := unserved(in)
	text, err := marshal(newDocument(in))
	if err != nil {
		return nil, fmt.Errorf("cannot render config.yml: %w", err)
	}
	if in.Config.Overlay != nil {
		overlaid, refused, err := overlay(in, text)
		if err != nil {
			return nil, err
		}
		text, problems = overlaid, append(problems, refused...)
	}
	if len(problems) > 0 {
		problems.Sort()
		return nil, problems
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# docker-registry charm; other files: %s\n", in.Digest)
	out.Write(text)
	return out.Bytes(), nil
}

func marshal(document any) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(document); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}
