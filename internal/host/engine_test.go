package host

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// machine is a machine without Docker, below a directory.
type machine struct {
	*Engine
	root   string
	runner *fakeRunner
	t      *testing.T
	info   string
}

func newMachine(t *testing.T, systemd bool) *machine {
	t.Helper()
	root, err := os.MkdirTemp("", "machine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	put(t, root+"/etc/os-release", "ID=ubuntu\nVERSION_CODENAME=jammy\n", 0o644)
	runner := &fakeRunner{has: map[string]bool{}, fail: map[string]string{}}
	m := &machine{root: root, runner: runner, t: t, info: "{}"}
	m.Engine = NewEngine(desired.Layout{Root: root}, NewDaemon("unix://"+root+"/docker.sock"), runner, slog.New(slog.DiscardHandler))
	m.config, m.systemd = root+"/etc/docker/daemon.json", systemd
	m.daemon.pidFile, m.daemon.containerdPID = root+"/docker.pid", root+"/containerd.pid"
	m.wait = waiting{start: 30 * time.Second, reload: time.Millisecond, poll: time.Millisecond, retry: time.Millisecond}
	return m
}

// boot makes an engine answer.
func (m *machine) boot() {
	listener, err := net.Listen("unix", m.root+"/docker.sock")
	if err != nil {
		m.t.Error(err)
		return
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/info" {
			io.WriteString(w, m.info)
		}
	}))
	server.Listener = listener
	server.Start()
	m.t.Cleanup(server.Close)
}

// bootAt makes an engine answer once a command runs.
func (m *machine) bootAt(prefix string) {
	m.runner.ran = func(line string) {
		if strings.HasPrefix(line, prefix) && !m.daemon.Answers(context.Background()) {
			m.boot()
		}
	}
}

// ensure runs Ensure and returns the commands that it ran.
func (m *machine) ensure(host config.Host) []string {
	m.t.Helper()
	m.runner.lines = nil
	if _, err := m.Ensure(m.t.Context(), host, desired.Proxy{HTTP: "http://proxy:3128", No: "10.0.0.0/8"}); err != nil {
		m.t.Fatal(err)
	}
	return m.runner.lines
}

func (m *machine) same(want, got []string) {
	m.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func (m *machine) file(name, want string) {
	m.t.Helper()
	content, err := os.ReadFile(m.root + name)
	if want == "" && errors.Is(err, os.ErrNotExist) {
		return
	}
	if diff := cmp.Diff(want, string(content)); diff != "" || err != nil {
		m.t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
	}
}

var defaults = map[string]any{"log-driver": "json-file", "log-opts": map[string]any{"max-size": "10m", "max-file": "100"}}

func TestEnsureInstalls(t *testing.T) {
	t.Run("systemd", func(t *testing.T) {
		m := newMachine(t, true)
		m.bootAt("systemctl restart")
		host := config.Host{Hold: true, Engine: config.Engine{
			Source: "apt", Daemon: defaults, Opts: []string{"--ip=127.0.0.1"},
			HTTPProxy: config.NewSecret("http://user:pa$$@proxy:3128"), NoProxy: "10.0.0.0/8",
		}}
		m.same([]string{
			"systemctl daemon-reload",
			"apt-get update",
			"apt-get install --no-install-recommends -- docker.io",
			"systemctl restart docker.service",
			"systemctl reset-failed docker.service",
			"systemctl enable --now docker.service",
			"dpkg-query --show --showformat=${db:Status-Status} -- docker.io",
			"apt-mark hold -- docker.io",
		}, m.ensure(host))
		env := m.runner.env["apt-get update"]
		if !slices.Contains(env, "http_proxy=http://proxy:3128") || !slices.Contains(env, "no_proxy=10.0.0.0/8") {
			t.Errorf("apt-get has %q", env)
		}
		m.file("/etc/docker/daemon.json", "{\n  \"log-driver\": \"json-file\",\n  \"log-opts\": {\n    \"max-file\": \"100\",\n    \"max-size\": \"10m\"\n  }\n}\n")
		envFile := "/var/lib/docker-registry/dockerd.env"
		m.file(dropIn, "[Service]\nEnvironmentFile=-"+m.root+envFile+"\n")
		m.file(envFile, "HTTP_PROXY=\"http://user:pa\\$\\$@proxy:3128\"\nNO_PROXY=\"10.0.0.0/8\"\nDOCKER_OPTS=\"--ip=127.0.0.1\"\n")
		if info, _ := os.Stat(m.root + envFile); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", envFile, info.Mode())
		}
		m.same(nil, m.ensure(host))

		host.Hold = false
		m.same([]string{"apt-mark unhold -- docker.io"}, m.ensure(host))
		host.Hold = true
		m.ensure(host)
		m.runner.lines = nil
		if err := m.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.same([]string{"apt-mark unhold -- docker.io", "systemctl daemon-reload"}, m.runner.lines)
		for _, name := range []string{"/etc/docker/daemon.json", dropIn, envFile, "/var/lib/docker-registry/engine.json"} {
			m.file(name, "")
		}
		m.runner.lines = nil
		if err := m.Remove(t.Context()); err != nil || len(m.runner.lines) > 0 {
			t.Errorf("a second time: %v, %q", err, m.runner.lines)
		}
	})
	t.Run("no systemd", func(t *testing.T) {
		m := newMachine(t, false)
		m.bootAt("dockerd")
		host := config.Host{Engine: config.Engine{Source: "apt", Opts: []string{"--mtu=1400"}, HTTPSProxy: config.NewSecret("http://proxy")}}
		start := "dockerd --host " + m.daemon.address + " --mtu=1400"
		m.same([]string{"apt-get update", "apt-get install --no-install-recommends -- docker.io", start}, m.ensure(host))
		if diff := cmp.Diff([]string{"HTTPS_PROXY=http://proxy"}, m.runner.env[start]); diff != "" {
			t.Errorf("environment (-want +got):\n%s", diff)
		}
		m.same(nil, m.ensure(host))
	})
	t.Run("installed, not running", func(t *testing.T) {
		m := newMachine(t, true)
		m.runner.has["dockerd"] = true
		m.bootAt("systemctl enable")
		m.same([]string{"systemctl reset-failed docker.service", "systemctl enable --now docker.service"}, m.ensure(config.Host{Engine: config.Engine{Daemon: defaults}}))
		// The engine is somebody else's, so defaults do not count.
		m.file("/etc/docker/daemon.json", "")
	})
	t.Run("there already", func(t *testing.T) {
		m := newMachine(t, true)
		m.boot()
		m.same(nil, m.ensure(config.Host{Engine: config.Engine{Daemon: defaults}}))
		m.file("/etc/docker/daemon.json", "")
	})
}

func TestEnsureOwnUnit(t *testing.T) {
	m := newMachine(t, true)
	m.boot()
	put(t, m.root+"/lib/systemd/system/docker.service", "[Service]\nExecStart=/usr/bin/dockerd -H fd://\n", 0o644)
	put(t, m.root+"/etc/default/docker", "#DOCKER_OPTS=\"--no\"\nDOCKER_OPTS=\"--debug\"\n", 0o644)
	m.same([]string{"systemctl daemon-reload"}, m.ensure(config.Host{Engine: config.Engine{Opts: []string{"--mtu=1400"}}}))
	env := "/var/lib/docker-registry/dockerd.env"
	m.file(dropIn, "[Service]\nEnvironmentFile=-"+m.root+env+"\nExecStart=\nExecStart=/usr/bin/dockerd -H fd:// $DOCKER_OPTS\n")
	m.file(env, "DOCKER_OPTS=\"--debug --mtu=1400\"\n")
}

func TestEnsureFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		host  config.Host
		fail  map[string]string
		setup func(m *machine)
		want  string
	}{{
		name: "no such package",
		fail: map[string]string{"apt-get install": "Reading package lists...\nE: Unable to locate package docker.io\n"},
		want: `cannot install package "docker.io": E: Unable to locate package docker.io`,
	}, {
		name: "no archive",
		fail: map[string]string{"apt-get update": "W: x\nE: The repository has no Release file.\n", "apt-get install": "E: Unable to locate package docker.io\n"},
		want: `cannot install package "docker.io": E: Unable to locate package docker.io (package lists are old: E: The repository has no Release file.)`,
	}, {
		name: "does not start",
		fail: map[string]string{"systemctl enable": "Job for docker.service failed.\n"},
		want: `no Docker Engine answers: cannot start the Docker Engine: systemctl: Job for docker.service failed.`,
	}, {
		name: "does not answer",
		want: "no Docker Engine answers: cannot start the Docker Engine: no answer at \"unix://ROOT/docker.sock\" after 1ms: see `journalctl -u docker.service`",
	}, {
		name: "hold",
		host: config.Host{Hold: true},
		fail: map[string]string{"apt-mark": "E: Can't select\n"},
		want: `cannot hold package "docker.io": apt-mark: E: Can't select`,
		setup: func(m *machine) {
			m.boot()
		},
	}, {
		name: "daemon.json is broken",
		want: `cannot read "ROOT/etc/docker/daemon.json": file is malformed: unexpected end of JSON input`,
		setup: func(m *machine) {
			put(m.t, m.config, "{", 0o644)
		},
	}, {
		name:  "elsewhere",
		want:  `no Docker Engine answers at "tcp://127.0.0.1:1"`,
		setup: func(m *machine) { m.daemon.address = "tcp://127.0.0.1:1" },
	}, {
		name:  "not the charm's machine",
		want:  `no Docker Engine answers at "unix://ROOT/docker.sock"`,
		setup: func(m *machine) { m.config = "" },
	}, {
		name: "unknown source",
		host: config.Host{Sources: []string{"rpm http://me:secret@x/"}},
		want: `cannot add APT source "rpm http://<redacted>@x": must begin with "deb ", "ppa:" or "cloud:"`,
	}} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t, true)
			m.runner.fail = test.fail
			m.wait.start = time.Millisecond
			if test.setup != nil {
				test.setup(m)
			}
			_, err := m.Ensure(t.Context(), test.host, desired.Proxy{})
			want := strings.ReplaceAll(test.want, "ROOT", m.root)
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

// TestEnsureHeals lets the machine fail once, as it does when a mirror is down or a
// hook is killed, and asks the next hook to do the rest.
func TestEnsureHeals(t *testing.T) {
	m := newMachine(t, true)
	m.bootAt("systemctl restart")
	m.runner.fail["apt-get install"] = "E: Could not get lock\n"
	host := config.Host{Engine: config.Engine{Source: "apt", Daemon: defaults}}
	if _, err := m.Ensure(t.Context(), host, desired.Proxy{}); err == nil {
		t.Fatal("it did not fail")
	}
	delete(m.runner.fail, "apt-get install")
	m.ensure(host)
	m.file("/etc/docker/daemon.json", "{\n  \"log-driver\": \"json-file\",\n  \"log-opts\": {\n    \"max-file\": \"100\",\n    \"max-size\": \"10m\"\n  }\n}\n")

	m.runner.fail, m.runner.failures = map[string]string{"apt-get update": "E: lock\n"}, 2
	host.Packages = []string{"jq"}
	m.same([]string{"apt-get update", "apt-get update", "apt-get update", "apt-get install --no-install-recommends -- jq"}, m.ensure(host))
}

func TestDefaultOptions(t *testing.T) {
	text, err := os.ReadFile("../../config.yaml")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no config.yaml")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"log-driver", "log-opts"} {
		if want := `"` + key + `":` + string(defaultOption(key)); !strings.Contains(strings.ReplaceAll(string(text), " ", ""), want) {
			t.Errorf("the default of daemon-opts in config.yaml does not hold %s", want)
		}
	}
}

func TestDaemonJSON(t *testing.T) {
	for _, test := range []struct {
		name, before string
		options      map[string]any
		want         string
	}{{
		name:    "other keys and their order stay",
		before:  `{"mtu": 1400, "bip": "10.1.0.1/24"}`,
		options: map[string]any{"debug": true, "mtu": 1500},
		want:    "{\n  \"mtu\": 1500,\n  \"bip\": \"10.1.0.1/24\",\n  \"debug\": true\n}\n",
	}, {
		name:    "nothing differs",
		before:  `{"log-opts":{"max-file":"3","max-size":"1m"}}`,
		options: map[string]any{"log-opts": map[string]any{"max-size": "1m", "max-file": "3"}},
		want:    `{"log-opts":{"max-file":"3","max-size":"1m"}}`,
	}, {
		name:    "default yields",
		before:  `{"log-opts": {"max-file": "3"}}`,
		options: defaults,
		want:    `{"log-opts": {"max-file": "3"}}`,
	}, {
		name:    "lists are merged",
		before:  `{"insecure-registries": ["a", "b"]}`,
		options: map[string]any{insecureKey: []any{"b", "c"}},
		want:    "{\n  \"insecure-registries\": [\n    \"a\",\n    \"b\",\n    \"c\"\n  ]\n}\n",
	}} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t, false)
			m.boot()
			put(t, m.config, test.before, 0o640)
			host := config.Host{Engine: config.Engine{Daemon: test.options}}
			for range 2 {
				m.ensure(host)
				m.file("/etc/docker/daemon.json", test.want)
			}
			if info, _ := os.Stat(m.config); info.Mode().Perm() != 0o640 {
				t.Errorf("mode is %v", info.Mode())
			}
			if err := m.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			content, _ := os.ReadFile(m.config)
			if !sameJSON(content, []byte(test.before)) {
				t.Errorf("left as %s", content)
			}
		})
	}
}

// TestSharedInsecure lets the option and the registry want the same entry.
func TestSharedInsecure(t *testing.T) {
	m := newMachine(t, false)
	m.boot()
	record, _ := m.load()
	next := record.clone()
	next.Insecure["client"] = []string{"10.0.0.5:5000"}
	if _, err := m.rewrite(t.Context(), record, next, process{}); err != nil {
		t.Fatal(err)
	}
	host := config.Host{Engine: config.Engine{Daemon: map[string]any{insecureKey: []any{"10.0.0.5:5000", "10.0.0.6:5000"}}}}
	m.ensure(host)
	m.file("/etc/docker/daemon.json", "{\n  \"insecure-registries\": [\n    \"10.0.0.5:5000\",\n    \"10.0.0.6:5000\"\n  ]\n}\n")
	m.ensure(config.Host{})
	m.file("/etc/docker/daemon.json", "{\n  \"insecure-registries\": [\n    \"10.0.0.5:5000\"\n  ]\n}\n")
	if _, err := m.Client(t.Context(), desired.Client{}); err != nil {
		t.Fatal(err)
	}
	m.file("/etc/docker/daemon.json", "")
}

func TestClientNotes(t *testing.T) {
	const info = `{"RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8", "10.9.0.0/16"], "IndexConfigs": {"known:5000": {"Secure": false}}}}`
	for _, test := range []struct {
		name   string
		netloc string
		setup  func(m *machine)
		want   []string
	}{
		{name: "loopback", netloc: "127.0.0.1:5000"},
		{name: "loopback by name", netloc: "localhost:5000"},
		{name: "trusted network", netloc: "10.9.1.1:5000"},
		{name: "trusted by name", netloc: "known:5000"},
		{
			name: "process not found", netloc: "10.0.0.5:5000",
			want: []string{`the local Docker Engine needs "insecure-registries": ["10.0.0.5:5000"] to use the registry without TLS (cannot find the process of the Docker Engine at "unix://ROOT/docker.sock")`},
		},
		{
			name: "not the charm's", netloc: "10.0.0.5:5000", setup: func(m *machine) { m.config = "" },
			want: []string{`the local Docker Engine needs "insecure-registries": ["10.0.0.5:5000"] to use the registry without TLS (its configuration is not the charm's)`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t, false)
			m.info = info
			m.boot()
			if test.setup != nil {
				test.setup(m)
			}
			notes, err := m.Client(t.Context(), desired.Client{Netlocs: []string{test.netloc}, Plain: true})
			for i := range notes {
				notes[i] = strings.ReplaceAll(notes[i], m.root, "ROOT")
			}
			if diff := cmp.Diff(test.want, notes); diff != "" || err != nil {
				t.Errorf("error %v, notes (-want +got):\n%s", err, diff)
			}
			m.file("/etc/docker/daemon.json", "")
		})
	}
}

func TestFlag(t *testing.T) {
	p := process{args: []string{"dockerd", "-H", "fd://", "--insecure-registry=10.0.0.0/8", "--label", "x", "--mtu=1400", "-D"}}
	for key, want := range map[string]bool{
		"hosts": true, insecureKey: true, "labels": true, "mtu": true, "debug": true, "log-opts": false, "bip": false,
	} {
		if p.flag(key) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
}

// BenchmarkUnchanged is what a hook that changes nothing pays for the host.
func BenchmarkUnchanged(b *testing.B) {
	layout := desired.Layout{Root: b.TempDir()}
	var files []desired.File
	for _, name := range []string{"config.yml", "htpasswd", "tls/registry.crt", "tls/registry.key", "token/bundle.pem"} {
		files = append(files, desired.File{Path: layout.Config() + "/" + name, Content: make([]byte, 4096), Mode: 0o600})
	}
	if _, err := NewFiles(layout, owner()).Sync(files); err != nil {
		b.Fatal(err)
	}
	data := NewData(layout, layout.Data(), owner())
	engine := NewEngine(layout, NewDaemon(""), &fakeRunner{}, slog.New(slog.DiscardHandler))
	engine.config = layout.On("/etc/docker/daemon.json")
	if !engine.daemon.Answers(b.Context()) {
		b.Skip("no Docker Engine answers")
	}
	for b.Loop() {
		if _, err := NewFiles(layout, owner()).Sync(files); err != nil {
			b.Fatal(err)
		}
		if _, err := engine.Ensure(b.Context(), config.Host{Engine: config.Engine{Daemon: defaults}}, desired.Proxy{}); err != nil {
			b.Fatal(err)
		}
		if _, err := engine.Client(b.Context(), desired.Client{Netlocs: []string{"10.0.0.5:5000"}}); err != nil {
			b.Fatal(err)
		}
		if _, err := data.Foreign(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDaemonJSONCrash leaves records as a crash would leave them, before daemon.json
// was written: what somebody else wrote there must not become the charm's.
func TestDaemonJSONCrash(t *testing.T) {
	const before = `{"insecure-registries":["10.0.0.5:5000"],"mtu":1400}`
	m := newMachine(t, false)
	put(t, m.config, before, 0o644)
	record, _ := m.load()
	next := record.clone()
	next.Insecure["client"] = []string{"10.0.0.5:5000", "10.0.0.6:5000"}
	next.Options["mtu"] = option{Ours: []byte("1500"), Before: []byte("1400")}
	if _, err := m.rewrite(t.Context(), record, next, process{}); err != nil {
		t.Fatal(err)
	}
	put(t, m.config, before, 0o644)
	if err := m.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.file("/etc/docker/daemon.json", before)
}
