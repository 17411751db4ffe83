package host

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"docker-registry-operator/internal/desired"
)

// The files that the charm which this one replaces keeps in its own directory. Juju
// leaves them there at a refresh, because no charm brought them.
const (
	// marker holds what it remembers, and tells that it was here.
	marker = ".unit-state.db"
	// lastOptions are the options that it acted on last, as JSON.
	lastOptions = ".juju-persistent-config"
)

// predecessor is the charm that this one replaces, as far as it is still on the
// machine: github.com/charmed-kubernetes/docker-registry-charm and its layers docker
// and basic.
type predecessor struct {
	layout desired.Layout
	// charm is the charm's directory, /var/lib/juju/agents/unit-docker-registry-0/charm.
	charm string
	// options are those that it acted on last; nil if they are not known.
	options map[string]any
}

// predecessor is nil if the charm's directory never held one, or holds nothing of it
// any more.
func (m *Machine) predecessor() (*predecessor, error) {
	if m.charm == "" {
		return nil, nil
	}
	path := filepath.Join(m.charm, marker)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, failed("read", path, err)
	}
	p := &predecessor{layout: m.layout, charm: m.charm}
	path = filepath.Join(m.charm, lastOptions)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, failed("read", path, err)
	}
	// What cannot be understood is as good as not there: a hook may have died writing it.
	_ = json.Unmarshal(data, &p.options)
	return p, nil
}

// text is an option that holds text, or otherwise if it has no value.
func (p *predecessor) text(option, otherwise string) string {
	if value, ok := p.options[option].(string); ok {
		return value
	}
	return otherwise
}

// files are the regular files that it wrote.
func (p *predecessor) files() ([]string, error) {
	paths := p.certificates()
	for _, name := range []string{"config.yml", "htpasswd", "auth_token.pem"} {
		paths = append(paths, filepath.Join(p.layout.Config(), name))
	}
	checks, err := p.checks()
	return append(paths, checks...), err
}

// directories are those that it made, if nobody else did, for what a charm writes.
func (p *predecessor) directories() []string {
	certs := p.layout.On("/etc/docker/certs.d")
	below, _ := filepath.Glob(certs + "/*")
	return append([]string{p.layout.Config(), certs}, below...)
}

// tlsPath is where it had a part of its certificate: "ca", "cert" or "key".
func (p *predecessor) tlsPath(part string) string {
	name := map[string]string{"ca": "ca.crt", "cert": "registry.crt", "key": "registry.key"}[part]
	return p.text("tls-"+part+"-path", "/etc/docker/registry/"+name)
}

// trusted is where it put the authority of a relation's certificate for the machine
// to trust.
func (p *predecessor) trusted() string {
	return p.layout.On("/usr/local/share/ca-certificates/juju-docker-registry.crt")
}

// certificates are those of the files at its tls-*-path options that it wrote there:
// from a tls-*-blob option, or from a relation, whose authority it made the machine
// trust. All others are the operator's own.
func (p *predecessor) certificates() []string {
	authority := contentOf(p.layout.On(p.tlsPath("ca")))
	related := authority != nil && bytes.Equal(authority, contentOf(p.trusted()))
	var paths []string
	for _, part := range []string{"ca", "cert", "key"} {
		path := p.layout.On(p.tlsPath(part))
		blob, err := base64.StdEncoding.DecodeString(p.text("tls-"+part+"-blob", ""))
		ours := err == nil && len(blob) > 0 && bytes.Equal(blob, contentOf(path))
		if p.tlsPath(part) != "" && (related || ours) {
			paths = append(paths, path)
		}
	}
	return paths
}

// contentOf is what a file holds, nil if it holds nothing or cannot be read.
func contentOf(path string) []byte {
	there, err := look(path)
	if err != nil || len(there.content) == 0 {
		return nil
	}
	return there.content
}

// checks are the files of its two Nagios checks: one of the registry, by its relation,
// and one of the engine, by charmhelpers.
func (p *predecessor) checks() ([]string, error) {
	nrpe, export := p.layout.Checks(), p.layout.Exports()
	unit := strings.TrimPrefix(filepath.Base(filepath.Dir(p.charm)), "unit-")
	paths := []string{
		filepath.Join(nrpe, "check_check_http.cfg"),
		filepath.Join(export, "service__"+unit+"_check_http.cfg"),
	}
	services, err := filepath.Glob(filepath.Join(export, "service__*_check_docker.cfg"))
	if err != nil {
		return nil, fmt.Errorf("cannot find Nagios checks: %w", err)
	}
	// Where another charm checks the engine too, the check is shared.
	shared := slices.ContainsFunc(services, func(path string) bool { return !p.checksFor(path, unit) })
	if shared {
		return paths, nil
	}
	return append(append(paths, services...), filepath.Join(nrpe, "check_docker.cfg")), nil
}

// checksFor says that a definition of a Nagios service names the unit, whose name ends
// a description in braces: `process check {docker-registry/0}`.
func (p *predecessor) checksFor(path, unit string) bool {
	i := strings.LastIndex(unit, "-")
	return i > 0 && bytes.Contains(contentOf(path), []byte(unit[:i]+"/"+unit[i+1:]+"}"))
}

// runtime is the package of the engine that it installed.
func (p *predecessor) runtime() string {
	if upstream, _ := p.options["install_from_upstream"].(bool); upstream {
		return "docker-ce"
	}
	switch p.text("docker_runtime", "") {
	case "upstream", "nvidia":
		return "docker-ce"
	case "custom":
		return p.text("docker_runtime_package", "docker.io")
	}
	return "docker.io"
}

// packages are those that it held, where they were known.
func (p *predecessor) packages() []string {
	return []string{p.runtime(), "docker.io", "docker-ce", "nvidia-docker2", "nvidia-container-runtime", "nvidia-container-runtime-hook"}
}
