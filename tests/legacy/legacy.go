// Package legacy leaves on a machine what the charm does that this one replaces, so that a refresh from
// it can be tried without it: github.com/charmed-kubernetes/docker-registry-charm with its layers basic,
// docker, apt and nagios, as their sources say. What Juju needs of that charm is a stand-in whose hooks
// do nothing. Which relations there are, and what is done with the unit, is for the test to say.
package legacy

import (
	"context"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"gopkg.in/yaml.v3"

	"docker-registry-operator/tests/charmzip"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
)

//go:embed all:testdata/charm
var files embed.FS

// Secret is http-secret, which the leader shares.
const Secret = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlLi4="

// Pack packs the stand-in to a charm at path.
func Pack(path string) error {
	dir, err := os.MkdirTemp("", "legacy-charm")
	if err != nil {
		return fmt.Errorf("cannot pack charm: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	charm, err := fs.Sub(files, "testdata/charm")
	if err := errors.Join(err, os.CopyFS(dir, charm)); err != nil {
		return fmt.Errorf("cannot pack charm: %w", err)
	}
	return charmzip.Pack(path, dir)
}

// A Registry is what the charm leaves of one unit. Its methods do what hooks of the charm did; what comes
// over relations comes before Serve.
type Registry struct {
	ctx     context.Context
	unit    *juju.Unit
	machine *machine.Machine
	options map[string]any
	// related says that the certificate is from a relation.
	related bool
	// started says that the engine was started for it.
	started bool
	volumes []string
}

// New is for a unit of the stand-in, whose options are those that differ from the defaults, as the
// operator typed them.
func New(ctx context.Context, unit *juju.Unit, config map[string]string) (*Registry, error) {
	r := &Registry{ctx: ctx, unit: unit, machine: unit.Machine(), options: map[string]any{}}
	text, err := files.ReadFile("testdata/charm/config.yaml")
	if err != nil {
		return nil, err
	}
	var declared struct {
		Options map[string]struct {
			Type    string
			Default any
		}
	}
	if err := yaml.Unmarshal(text, &declared); err != nil {
		return nil, err
	}
	for name, option := range declared.Options {
		if option.Default != nil {
			r.options[name] = option.Default
		}
	}
	for name, value := range config {
		option, known := declared.Options[name]
		if !known {
			return nil, fmt.Errorf("cannot set %q: the charm has no such option", name)
		}
		switch option.Type {
		case "int":
			r.options[name], err = strconv.Atoi(value)
		case "boolean":
			r.options[name], err = strconv.ParseBool(value)
		default:
			r.options[name] = value
		}
		if err != nil {
			return nil, fmt.Errorf("cannot set %q: %w", name, err)
		}
	}
	return r, nil
}

func (r *Registry) text(option string) string { return fmt.Sprint(r.options[option]) }

func (r *Registry) flag(option string) bool { return r.options[option] == true }

// netloc is where clients are told to find the registry without a proxy.
func (r *Registry) netloc() string {
	if host := r.text("http-host"); host != "" {
		_, rest, _ := strings.Cut(host, "://")
		netloc, _, _ := strings.Cut(rest, "/")
		return netloc
	}
	return r.machine.Address() + ":" + r.text("registry-port")
}

// Serve brings the engine, writes the registry's files and runs its container. The image is made of the
// program at that path, distribution's own registry.
func (r *Registry) Serve(program string) error {
	for _, step := range []func() error{
		r.configureEngine, r.writeHtpasswd, r.writeBlobs, r.writeConfig, r.configureClient,
		r.startEngine,
		func() error { return r.loadImage(program) },
		r.run, r.remember, r.report,
	} {
		if err := step(); err != nil {
			return fmt.Errorf("cannot leave what the former charm does: %w", err)
		}
	}
	return nil
}

// on runs a shell script on the machine.
func (r *Registry) on(script string, args ...string) error {
	command := r.machine.Command(r.ctx, "sh", append([]string{"-ec", script, "sh"}, args...)...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", script, err, out)
	}
	return nil
}

// write writes a file with exactly this mode.
func (r *Registry) write(path, content string, mode os.FileMode) error {
	if err := r.machine.WriteFile(path, []byte(content), mode); err != nil {
		return err
	}
	return os.Chmod(r.machine.Path(path), mode)
}

func (r *Registry) mount(from, to string) { r.volumes = append(r.volumes, from+":"+to) }

// writeHtpasswd does what `htpasswd -Bbc` does.
func (r *Registry) writeHtpasswd() error {
	user, password := r.text("auth-basic-user"), r.text("auth-basic-password")
	if user == "" || password == "" {
		return nil
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), 5)
	if err != nil {
		return err
	}
	line := user + ":$2y$" + strings.TrimPrefix(string(hash), "$2a$") + "\n"
	return r.write("/etc/docker/registry/htpasswd", line, 0o644)
}

// writeBlobs does not care who else may read the key.
func (r *Registry) writeBlobs() error {
	for _, part := range []string{"ca", "cert", "key"} {
		blob, err := base64.StdEncoding.DecodeString(r.text("tls-" + part + "-blob"))
		if err != nil {
			return err
		}
		if len(blob) == 0 {
			continue
		}
		if err := r.write(r.text("tls-"+part+"-path"), string(blob), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// WriteCertificate takes in what cert-provider has answered: write_certs.
func (r *Registry) WriteCertificate(ca, certificate, key string) error {
	r.related = true
	return errors.Join(
		r.write(r.text("tls-ca-path"), ca, 0o644),
		r.write(r.text("tls-cert-path"), certificate, 0o644),
		r.write(r.text("tls-key-path"), key, 0o600))
}

func (r *Registry) exists(path string) bool {
	info, err := os.Stat(r.machine.Path(path))
	return err == nil && info.Mode().IsRegular()
}

// remember leaves what the layers keep in the charm's directory and beside it, and on the machine for
// all charms of their kind. Juju takes away only what came with the charm.
func (r *Registry) remember() error {
	options, err := json.Marshal(r.options)
	if err != nil {
		return err
	}
	charm := r.unit.CharmDir()
	err = errors.Join(
		r.write(charm+"/.unit-state.db", "SQLite format 3\x00", 0o600),
		r.write(charm+"/.juju-persistent-config", string(options), 0o600),
		r.write(charm+"/wheelhouse/.bootstrapped", "", 0o644),
		r.write(charm+"/lib/charms/layer/__pycache__/docker.cpython-310.pyc", "", 0o644),
		r.write(filepath.Dir(charm)+"/.venv/bin/activate", "", 0o644),
		r.write("/usr/local/sbin/charm-env", "#!/bin/bash\n", 0o755))
	if err != nil {
		return err
	}
	return r.on(`ln -s /usr/bin/python3 "$1/../.venv/bin/python"
		for name in charms.reactive charms.reactive.sh chlp layer_option; do ln -s /usr/local/sbin/charm-env /usr/local/sbin/$name; done`, charm)
}

// report opens the port and sets the status, as the unit's last hook has.
func (r *Registry) report() error {
	scheme := "http"
	if r.related {
		scheme = "https"
	}
	script := fmt.Sprintf("open-port %s; status-set active 'Ready at %s:%s (%s).'",
		r.text("registry-port"), r.machine.Address(), r.text("registry-port"), scheme)
	_, err := r.unit.Run(r.ctx, script)
	return err
}

// Tell publishes what the unit tells over a relation.
func (r *Registry) Tell(relation *juju.Relation, bag map[string]string) error {
	text, err := json.Marshal(bag)
	if err != nil {
		return err
	}
	done, err := r.unit.Run(r.ctx, "relation-set -r "+relation.ID()+" --file - <<'END'\n"+string(text)+"\nEND\n")
	if err == nil && fmt.Sprint(done.Results["return-code"]) != "0" {
		err = fmt.Errorf("cannot tell over %s: %v", relation.ID(), done.Results)
	}
	return err
}
