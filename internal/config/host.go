package config

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// Host is what the operator wants of the machine: packages and the Docker Engine.
type Host struct {
	// Sources and Keys are APT sources and the keys that sign them (a key ID, an
	// ASCII armoured key or "" for none), of the same length if Keys is not empty.
	Sources, Keys []string
	KeyServer     string
	// Packages are names as apt-get install takes them, `name[:arch][=version]`.
	Packages []string
	// Hold keeps the engine's package at its version (package_status "hold").
	Hold   bool
	Engine Engine
}

func (r *reader) host() Host {
	host := Host{
		Sources:   r.list("install_sources"),
		Keys:      r.list("install_keys"),
		KeyServer: r.text("apt-key-server"),
		Packages:  r.packages(),
		Hold:      r.choice("package_status", "install", "hold") == "hold",
		Engine:    r.engine(),
	}
	r.checkSources(host.Sources)
	r.checkKeys(host.Keys)
	if len(host.Keys) > 0 && len(host.Keys) != len(host.Sources) {
		r.complainOnce("install_keys", `must have as many items as "install_sources", null for a source without a key`)
	}
	return host
}

func (r *reader) checkSources(sources []string) {
	if r.complained("install_sources") {
		return
	}
	for i, source := range sources {
		if !sourceLine().MatchString(source) || !printable(source) {
			r.complain("install_sources", `item %d must be one line that begins with "deb ", "ppa:" or "cloud:"`, i+1)
		}
	}
}

// sourceLine matches what add-apt-repository and charms of old take as a source.
func sourceLine() *regexp.Regexp {
	return regexp.MustCompile(`^(deb \S|deb-src \S|ppa:\S|cloud:\S|cloud-archive:\S|distro$)`)
}

func (r *reader) checkKeys(keys []string) {
	if r.complained("install_keys") {
		return
	}
	for i, key := range keys {
		if key != "" && !keyID().MatchString(key) && !strings.Contains(key, "-----BEGIN PGP PUBLIC KEY BLOCK-----") {
			r.complain("install_keys", "item %d must be an ASCII armoured public key, the ID of one, or null", i+1)
		}
	}
}

// keyID matches the last 8 to 40 hexadecimal digits of a key's fingerprint, in groups
// or not.
func keyID() *regexp.Regexp {
	return regexp.MustCompile(`^(0x)?( ?[0-9A-Fa-f]){8,40}$`)
}

// list is an option that holds a YAML list of texts, or one text; null stands for "".
func (r *reader) list(name string) []string {
	var value any
	if err := yaml.Unmarshal([]byte(r.raw(name)), &value); err != nil {
		r.complain(name, "must be a YAML list%s", lineOf(err))
		return nil
	}
	switch value := value.(type) {
	case nil:
		return nil
	case string:
		if value == "" {
			return nil
		}
		return []string{value}
	case []any:
		return r.items(name, value)
	}
	r.complain(name, "must be a YAML list of texts")
	return nil
}

func (r *reader) items(name string, values []any) []string {
	var items []string
	for i, value := range values {
		text, ok := value.(string)
		if !ok && value != nil {
			r.complain(name, "item %d must be text", i+1)
		}
		items = append(items, text)
	}
	return items
}

func (r *reader) packages() []string {
	packages := strings.Fields(r.raw("extra_packages"))
	for i, name := range packages {
		if !packageName().MatchString(name) {
			r.complain("extra_packages", "word %d must be the name of a package", i+1)
		}
	}
	return packages
}

// packageName is Debian's rule, with what apt-get allows behind the name.
// https://www.debian.org/doc/debian-policy/ch-controlfields.html#source
func packageName() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?([=/][A-Za-z0-9.+~:-]+)?$`)
}
