package host

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// heir is a machine, below a directory, on which the charm that this one replaces ran.
type heir struct {
	*machine
	*Machine
	options map[string]any
}

// agents is where Juju has its agents.
const agents = "/var/lib/juju/agents"

// selections asks for the packages that the other charm held.
const selections = "dpkg --get-selections docker.io docker.io docker-ce nvidia-docker2 nvidia-container-runtime nvidia-container-runtime-hook"

func newHeir(t *testing.T) *heir {
	t.Helper()
	m := newMachine(t, true)
	m.boot()
	m.runner.has = map[string]bool{"dpkg": true, "update-ca-certificates": true}
	layout := desired.Layout{Root: m.root}
	h := &heir{machine: m, options: map[string]any{
		"tls-ca-path": "/etc/docker/registry/ca.crt", "tls-cert-path": "/etc/docker/registry/registry.crt",
		"tls-key-path": "/etc/docker/registry/registry.key", "registry-port": 5000,
		"daemon-opts": `{"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "100"}}`,
	}}
	h.Machine = &Machine{
		layout: layout, charm: m.root + agents + "/unit-docker-registry-0/charm", files: NewFiles(layout, owner()),
		user: owner(), daemon: m.daemon, engine: m.Engine,
		records: &records{path: filepath.Join(layout.State(), "records.json")},
	}
	h.put("/etc/docker/registry/config.yml", "version: '0.1'\n", 0o600)
	h.put("/etc/docker/daemon.json", `{"insecure-registries": ["10.0.0.5:5000"], "log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "100"}}`, 0o644)
	h.put(agents+"/unit-docker-registry-0/charm/.unit-state.db", "SQLite format 3", 0o600)
	return h
}

func (h *heir) put(path, content string, mode os.FileMode) {
	h.t.Helper()
	put(h.t, h.root+path, content, mode)
}

func (h *heir) link(target, path string) {
	h.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(h.root+path), 0o755), os.Symlink(target, h.root+path)); err != nil {
		h.t.Fatal(err)
	}
}

// inherit inherits, as at every hook until there is nothing left of the other charm.
func (h *heir) inherit() {
	h.t.Helper()
	options, err := json.Marshal(h.options)
	if err != nil {
		h.t.Fatal(err)
	}
	h.put(agents+"/unit-docker-registry-0/charm/.juju-persistent-config", string(options), 0o600)
	for range 2 {
		if there, err := h.Inherit(h.t.Context()); err != nil || !there {
			h.t.Fatalf("Inherit: %v, %v", there, err)
		}
	}
}

// bury buries, after which nothing is there to be inherited.
func (h *heir) bury() {
	h.t.Helper()
	if err := h.Bury(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if there, err := h.Inherit(h.t.Context()); err != nil || there {
		h.t.Errorf("Inherit after Bury: %v, %v", there, err)
	}
}

// adopted are the files that have become the charm's own, without the root.
func (h *heir) adopted() []string {
	h.t.Helper()
	known, err := h.files.load()
	if err != nil {
		h.t.Fatal(err)
	}
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(known.Files)) {
		paths = append(paths, strings.TrimPrefix(path, h.root))
	}
	return paths
}

func (h *heir) gone(paths ...string) {
	h.t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(h.root + path); !errors.Is(err, os.ErrNotExist) {
			h.t.Errorf("%s is still there: %v", path, err)
		}
	}
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestInheritFiles(t *testing.T) {
	for _, test := range []struct {
		name string
		with func(h *heir)
		want []string
	}{
		{"nothing but the configuration", func(*heir) {}, []string{"/etc/docker/registry/config.yml"}},
		{"authentication", func(h *heir) {
			h.put("/etc/docker/registry/htpasswd", "admin:hash\n", 0o644)
			h.put("/etc/docker/registry/auth_token.pem", "roots", 0o644)
		}, []string{"/etc/docker/registry/auth_token.pem", "/etc/docker/registry/config.yml", "/etc/docker/registry/htpasswd"}},
		{"the operator's own certificate", func(h *heir) {
			h.put("/etc/docker/registry/ca.crt", "ca", 0o644)
			h.put("/etc/docker/registry/registry.crt", "cert", 0o644)
			h.put("/etc/docker/registry/registry.key", "key", 0o600)
		}, []string{"/etc/docker/registry/config.yml"}},
		{"a certificate of blobs beside the operator's own authority", func(h *heir) {
			h.options["tls-cert-path"], h.options["tls-cert-blob"] = "/srv/tls/cert", encoded("cert")
			h.options["tls-key-path"], h.options["tls-key-blob"] = "/srv/tls/key", encoded("key")
			h.put("/etc/docker/registry/ca.crt", "ca", 0o644)
			h.put("/srv/tls/cert", "cert", 0o644)
			h.put("/srv/tls/key", "key", 0o644)
		}, []string{"/etc/docker/registry/config.yml", "/srv/tls/cert", "/srv/tls/key"}},
		{"a certificate of a relation", func(h *heir) {
			h.put("/etc/docker/registry/ca.crt", "ca", 0o644)
			h.put("/etc/docker/registry/registry.crt", "cert", 0o644)
			h.put("/etc/docker/registry/registry.key", "key", 0o600)
			h.put("/usr/local/share/ca-certificates/juju-docker-registry.crt", "ca", 0o444)
		}, []string{
			"/etc/docker/registry/ca.crt", "/etc/docker/registry/config.yml",
			"/etc/docker/registry/registry.crt", "/etc/docker/registry/registry.key",
		}},
		{"checks", func(h *heir) {
			h.put("/etc/nagios/nrpe.d/check_check_http.cfg", "command[check_http]=", 0o644)
			h.put("/etc/nagios/nrpe.d/check_docker.cfg", "command[check_docker]=", 0o644)
			h.put("/etc/nagios/nrpe.d/check_load.cfg", "command[check_load]=", 0o644)
			h.put("/var/lib/nagios/export/service__docker-registry-0_check_http.cfg", "define service", 0o644)
			h.put("/var/lib/nagios/export/service__juju-docker-registry-0_check_docker.cfg", "process check {docker-registry/0}", 0o644)
		}, []string{
			"/etc/docker/registry/config.yml",
			"/etc/nagios/nrpe.d/check_check_http.cfg", "/etc/nagios/nrpe.d/check_docker.cfg",
			"/var/lib/nagios/export/service__docker-registry-0_check_http.cfg",
			"/var/lib/nagios/export/service__juju-docker-registry-0_check_docker.cfg",
		}},
		{"a check that another charm shares", func(h *heir) {
			h.put("/etc/nagios/nrpe.d/check_docker.cfg", "command[check_docker]=", 0o644)
			h.put("/var/lib/nagios/export/service__juju-other-0_check_docker.cfg", "process check {other/0}", 0o644)
		}, []string{"/etc/docker/registry/config.yml"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHeir(t)
			test.with(h)
			before := tree(t, h.root)
			h.inherit()
			if told, err := h.records.get(monitored); err != nil || told == "" != (test.name != "checks") {
				t.Errorf("NRPE was last restarted for %q, %v", told, err)
			}
			if diff := cmp.Diff(test.want, h.adopted()); diff != "" {
				t.Errorf("adopted (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tree(t, h.root)); diff != "" {
				t.Errorf("files (-before +after):\n%s", diff)
			}
		})
	}
}

// TestInheritedFilesAreTheCharms changes, puts back and removes them without a trace.
func TestInheritedFilesAreTheCharms(t *testing.T) {
	h := newHeir(t)
	h.options["tls-key-blob"] = encoded("key")
	h.put("/etc/docker/registry/registry.key", "key", 0o644)
	before := tree(t, h.root)
	h.inherit()
	change, err := h.Sync([]desired.File{{Path: h.layout.Config() + "/config.yml", Content: []byte("new"), Mode: 0o600}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{h.root + "/etc/docker/registry/registry.key"}
	if diff := cmp.Diff(want, change.Removed); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if err := change.Undo(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, tree(t, h.root)); diff != "" {
		t.Errorf("after Undo (-before +after):\n%s", diff)
	}
	h.bury()
	if _, err := h.Sync(nil); err != nil {
		t.Fatal(err)
	}
	h.gone("/etc/docker/registry")
}

// TestInheritAgain is about an operator who went back to the other charm and comes again:
// what that charm wrote since is known too.
func TestInheritAgain(t *testing.T) {
	h := newHeir(t)
	h.put("/etc/docker/registry/htpasswd", "admin:first\n", 0o644)
	h.inherit()
	h.put("/etc/docker/registry/htpasswd", "admin:second\n", 0o644)
	h.inherit()
	if _, err := h.Sync(nil); err != nil {
		t.Fatal(err)
	}
	h.gone("/etc/docker/registry/htpasswd", "/etc/docker/registry/config.yml")
}

func TestInheritWithoutAPredecessor(t *testing.T) {
	h := newHeir(t)
	h.gone(agents + "/unit-docker-registry-0/charm/.juju-persistent-config")
	for _, charm := range []string{"", h.root + agents + "/unit-docker-registry-1/charm"} {
		h.charm = charm
		if there, err := h.Inherit(t.Context()); err != nil || there {
			t.Errorf("Inherit in %q: %v, %v", charm, there, err)
		}
		if err := h.Bury(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if adopted := h.adopted(); adopted != nil || len(h.runner.lines) > 0 {
		t.Errorf("adopted %v, ran %v", adopted, h.runner.lines)
	}
}

// TestInheritEngine goes through the hooks of a refresh as far as the engine is
// concerned, and then through a removal.
func TestInheritEngine(t *testing.T) {
	h := newHeir(t)
	h.runner.say = map[string]string{
		"dpkg --get-selections docker.io": "docker.io\thold\n",
		selections:                        "docker.io\thold\nnvidia-docker2\thold\ndocker-ce\tinstall\ndpkg: no packages found matching nvidia-container-runtime\n",
	}
	h.info = `{"RegistryConfig": {"IndexConfigs": {"10.0.0.5:5000": {"Secure": false}}}}`
	h.options["docker_runtime"] = "auto"
	h.inherit()
	before := tree(t, h.root)
	h.runner.lines = nil
	options := config.Host{Engine: config.Engine{Source: "apt", Daemon: defaults}}
	notes, err := h.Ensure(t.Context(), options, desired.Proxy{})
	if err != nil || notes != nil {
		t.Errorf("Ensure: %q, %v", notes, err)
	}
	client := desired.Client{Plain: true, Netlocs: []string{"10.0.0.5:5000"}}
	if notes, err := h.Client(t.Context(), client); err != nil || notes != nil {
		t.Errorf("Client: %q, %v", notes, err)
	}
	h.same([]string{"apt-mark unhold -- docker.io"}, h.runner.lines)
	if diff := cmp.Diff(before, tree(t, h.root)); diff != "" {
		t.Errorf("files (-before +after):\n%s", diff)
	}
	h.runner.lines = nil
	h.bury()
	h.same([]string{selections, "apt-mark unhold -- docker.io", "apt-mark unhold -- nvidia-docker2"}, h.runner.lines)
	if err := h.machine.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.gone("/etc/docker/daemon.json")
}

// TestInheritHold keeps the hold on an engine that the operator wants held.
func TestInheritHold(t *testing.T) {
	h := newHeir(t)
	const question = "dpkg --get-selections docker-ce docker.io docker-ce nvidia-docker2 nvidia-container-runtime nvidia-container-runtime-hook"
	h.runner.say = map[string]string{"dpkg --get-selections docker-ce": "docker-ce\thold\n", question: "docker-ce\thold\n"}
	h.options["docker_runtime"] = "upstream"
	h.put("/etc/apt/sources.list.d/docker.list", "deb https://download.docker.com/linux/ubuntu jammy stable", 0o644)
	h.inherit()
	h.runner.lines = nil
	conf := config.Host{Hold: true, Engine: config.Engine{Source: "custom", Custom: config.CustomEngine{Package: "docker-ce"}, Daemon: defaults}}
	if _, err := h.Ensure(t.Context(), conf, desired.Proxy{}); err != nil {
		t.Fatal(err)
	}
	h.bury()
	h.same([]string{question}, h.runner.lines)
	if err := h.machine.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.gone("/etc/apt/sources.list.d/docker.list")
}

// TestInheritService takes the engine's arguments and proxies over without giving them
// twice: dockerd would not start with two equal --host.
func TestInheritService(t *testing.T) {
	h := newHeir(t)
	h.options["docker-opts"] = "--host=tcp://127.0.0.1:2375"
	h.options["http_proxy"] = "http://proxy:3128"
	h.put(engineDefaults, "# THIS FILE IS AUTOGENERATED BY JUJU\n\nDOCKER_OPTS=\"  --host=tcp://127.0.0.1:2375\"\n", 0o444)
	const unit = "[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=/usr/bin/dockerd -H fd:// $DOCKER_OPTS\n"
	const proxies = "Environment=\"HTTP_PROXY=http://proxy:3128\"\nEnvironment=\"HTTPS_PROXY=None\"\nEnvironment=\"NO_PROXY=10.0.0.0/8\"\n"
	h.put("/lib/systemd/system/docker.service", unit+proxies, 0o644)
	h.inherit()
	engine := config.Engine{Source: "apt", Opts: []string{"--host=tcp://127.0.0.1:2375"}, HTTPProxy: config.NewSecret("http://proxy:3128")}
	if _, err := h.Ensure(t.Context(), config.Host{Engine: engine}, desired.Proxy{}); err != nil {
		t.Fatal(err)
	}
	h.bury()
	h.gone(engineDefaults)
	h.file("/lib/systemd/system/docker.service", unit+"Environment=\"NO_PROXY=10.0.0.0/8\"\n")
	h.file("/var/lib/docker-registry/dockerd.env", "HTTP_PROXY=\"http://proxy:3128\"\nDOCKER_OPTS=\"--host=tcp://127.0.0.1:2375\"\n")
}

func TestBury(t *testing.T) {
	h := newHeir(t)
	const unit = agents + "/unit-docker-registry-0"
	h.put("/etc/docker/registry/ca.crt", "ca", 0o644)
	h.put("/usr/local/share/ca-certificates/juju-docker-registry.crt", "ca", 0o444)
	h.link("/etc/docker/registry/registry.crt", "/etc/docker/certs.d/10.0.0.5:5000/client.cert")
	h.link("/etc/docker/registry/registry.key", "/etc/docker/certs.d/10.0.0.5:5000/client.key")
	h.link("/home/me/other.crt", "/etc/docker/certs.d/example.com/client.cert")
	h.link("/usr/bin/python3", unit+"/.venv/bin/python")
	h.put(unit+"/charm/lib/charms/layer/__pycache__/docker.cpython-310.pyc", "", 0o644)
	h.put(unit+"/charm/wheelhouse/.bootstrapped", "", 0o644)
	h.put(unit+"/charm/dispatch", "", 0o755)
	h.put("/usr/local/sbin/charm-env", "#!/bin/bash", 0o755)
	h.link("/usr/local/sbin/charm-env", "/usr/local/sbin/chlp")
	h.put("/usr/local/sbin/layer_option", "somebody's own", 0o755)
	h.inherit()
	if err := os.RemoveAll(h.root + "/etc/docker/registry"); err != nil {
		t.Fatal(err)
	}
	h.runner.lines = nil
	h.bury()
	h.same([]string{selections, "update-ca-certificates --fresh"}, h.runner.lines)
	h.gone("/etc/docker/certs.d/10.0.0.5:5000", "/usr/local/share/ca-certificates/juju-docker-registry.crt",
		"/usr/local/share/ca-certificates/juju-docker-registry.crt.gone", "/usr/local/sbin/charm-env", "/usr/local/sbin/chlp",
		unit+"/.venv", unit+"/charm/lib", unit+"/charm/wheelhouse", unit+"/charm/.juju-persistent-config")
	for _, path := range []string{unit + "/charm/dispatch", "/usr/local/sbin/layer_option", "/etc/docker/certs.d/example.com/client.cert"} {
		if _, err := os.Lstat(h.root + path); err != nil {
			t.Error(err)
		}
	}
}

// TestRemoveBeforeARefreshIsDone removes a unit that a mistake of the operator kept from serving.
func TestRemoveBeforeARefreshIsDone(t *testing.T) {
	h := newHeir(t)
	h.put("/etc/docker/registry/htpasswd", "admin:hash\n", 0o644)
	h.put("/etc/docker/registry/ca.crt", "ca", 0o644)
	h.put("/usr/local/share/ca-certificates/juju-docker-registry.crt", "ca", 0o444)
	h.put("/etc/nagios/nrpe.d/check_check_http.cfg", "command[check_http]=", 0o644)
	h.inherit()
	if err := h.Machine.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.gone("/etc/docker/registry", "/etc/docker/daemon.json", "/etc/nagios/nrpe.d/check_check_http.cfg", "/var/lib/docker-registry",
		"/usr/local/share/ca-certificates/juju-docker-registry.crt", agents+"/unit-docker-registry-0/charm/.unit-state.db")
}

// TestBuryIsRepeated fails at the last command, after which all is still known.
func TestBuryIsRepeated(t *testing.T) {
	h := newHeir(t)
	h.put("/usr/local/share/ca-certificates/juju-docker-registry.crt", "ca", 0o444)
	h.put(agents+"/unit-other-0/charm/wheelhouse/.bootstrapped", "", 0o644)
	h.put("/usr/local/sbin/charm-env", "#!/bin/bash", 0o755)
	h.inherit()
	h.runner.fail, h.runner.failures = map[string]string{"update-ca-certificates": "no space left on device"}, 1
	if err := h.Bury(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Fatalf("Bury: %v", err)
	}
	h.inherit()
	h.bury()
	h.gone("/usr/local/share/ca-certificates/juju-docker-registry.crt.gone")
	if _, err := os.Stat(h.root + "/usr/local/sbin/charm-env"); err != nil {
		t.Error("what another charm needs is gone")
	}
}
