package config

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ErrNoSecrets says that a unit cannot read secrets: its Juju has none, or there is no
// Juju.
var ErrNoSecrets = errors.New("there are no secrets")

// Reference is an option that names a secret of Juju where its value would stand.
type Reference struct {
	Option, URI string
}

// referring are the options that may name a secret instead of holding one. They are of
// type string, because Juju before 3.3 refuses a charm with an option of type secret.
func referring() []string {
	return []string{
		"auth-basic-password", usersOption, "cache-password", "http_proxy", "https_proxy",
		"registry-http-proxy", "registry-https-proxy", "storage-redis-password",
		"storage-redis-sentinel-password", "storage-s3-accesskey", "storage-s3-secretkey",
		"storage-swift-password", "storage-swift-secretkey", "tls-ca-blob", "tls-cert-blob",
		"tls-key-blob",
	}
}

// References are the options that name a secret, by name. A text that only begins like
// the URI of one is among the [Problems]: taken for a password it would not be secret.
func References(options Options) ([]Reference, error) {
	var found []Reference
	var problems Problems
	for _, name := range referring() {
		text, _ := options[name].(string)
		text = strings.TrimSpace(text)
		switch {
		case secretURI().MatchString(text):
			found = append(found, Reference{Option: name, URI: text})
		case strings.HasPrefix(text, "secret:"):
			problems = append(problems, Problem{name,
				`begins like the URI of a secret, but is none: type "secret:" and the ID of 20 characters that "juju secrets" shows; put a value that begins so into a secret`})
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return found, nil
}

// secretURI is how Juju writes the URI of a secret, that of another model included.
// https://github.com/juju/juju/blob/3.6/core/secrets/secret.go
func secretURI() *regexp.Regexp {
	const model = `[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}`
	return regexp.MustCompile(`^secret:(//` + model + `/|` + model + `/|/?)[0-9a-z]{20}$`)
}

// Resolve are the options with what they name, contents by URI, in its place. That a
// secret has no value for an option is among the [Problems].
func Resolve(options Options, references []Reference, contents map[string]map[string]Secret) (Options, error) {
	var problems Problems
	resolved := maps.Clone(options)
	for _, reference := range references {
		content := contents[reference.URI]
		if reference.Option == usersOption && len(content) > 0 {
			resolved[usersOption] = content
			continue
		}
		value, fault := reference.pick(content)
		if fault != "" {
			problems = append(problems, Problem{reference.Option, fault})
			continue
		}
		resolved[reference.Option] = encoded(reference.Option, value.Reveal())
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return resolved, nil
}

// key is the key of a secret that stands for the option: its name, as keys may be
// written.
func (r Reference) key() string { return strings.ReplaceAll(r.Option, "_", "-") }

// ID is the part of the URI by which commands of Juju name the secret.
func (r Reference) ID() string { return r.URI[len(r.URI)-20:] }

// pick is the value of the key that is named like the option, or of the only key. An
// empty one is a fault: it would turn off what it is to protect.
func (r Reference) pick(content map[string]Secret) (value Secret, fault string) {
	value, named := content[r.key()]
	keys := slices.Sorted(maps.Keys(content))
	switch {
	case !named && len(keys) == 1:
		value = content[keys[0]]
	case !named:
		return Secret{}, fmt.Sprintf(`names secret %s, of whose keys (%s) none is "%s"; name one so, or keep the value in a secret with one key`,
			r.ID(), strings.Join(keys, ", "), r.key())
	}
	if value.IsZero() {
		return Secret{}, fmt.Sprintf(`names secret %s, whose value is empty; type "juju update-secret %[1]s %s=VALUE", or reset the option`, r.ID(), r.key())
	}
	return value, ""
}

// encoded brings a PEM text to the form that an option has to have on a command line.
func encoded(option, value string) string {
	if !strings.HasSuffix(option, "-blob") {
		return value
	}
	if block, _ := pem.Decode([]byte(value)); block == nil {
		return value
	}
	return base64.StdEncoding.EncodeToString([]byte(value))
}
