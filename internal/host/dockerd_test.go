package host

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// testNet is an address for documentation (RFC 5737) that the test gives to the
// loopback interface: Docker trusts every address of 127.0.0.0/8 by itself.
const testNet = "198.51.100.77"

// engine is a Docker Engine of a test's own.
type engine struct {
	dir, address, config string
	process              *exec.Cmd
}

// startEngine starts an engine that shares nothing with that of the machine.
func startEngine(t *testing.T, daemonJSON string) *engine {
	t.Helper()
	needRoot(t)
	for _, program := range []string{"dockerd", "docker", "ip", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no program %q", program)
		}
	}
	// Not t.TempDir: the path of a Unix socket is limited to 107 bytes.
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{dir: dir, address: "unix://" + dir + "/docker.sock", config: dir + "/daemon.json"}
	put(t, e.config, daemonJSON, 0o644)
	t.Cleanup(func() { e.remove(t) })
	e.start(t)
	return e
}

func (e *engine) start(t *testing.T) {
	t.Helper()
	output, err := os.OpenFile(e.dir+"/log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	e.process = exec.Command("dockerd", "--config-file", e.config, "--data-root", e.dir+"/root", "--exec-root", e.dir+"/exec",
		"--pidfile", e.dir+"/docker.pid", "--host", e.address, "--storage-driver=vfs", "--bridge=none", "--iptables=false", "--ip6tables=false")
	e.process.Stdout, e.process.Stderr = output, output
	if err := e.process.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !NewDaemon(e.address).Answers(t.Context()); {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(e.dir + "/log")
			t.Fatalf("engine does not start: %s", tail(string(text), ""))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (e *engine) stop(t *testing.T) {
	t.Helper()
	if err := e.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	// Its answer to SIGTERM is an exit code of its own choice.
	_ = e.process.Wait()
}

func (e *engine) remove(t *testing.T) {
	if e.process != nil && e.process.ProcessState == nil {
		e.stop(t)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], e.dir+"/") {
			_ = syscall.Unmount(fields[1], syscall.MNT_DETACH)
		}
	}
	if err := os.RemoveAll(e.dir); err != nil {
		t.Error(err)
	}
}

// docker runs Docker's own client.
func (e *engine) docker(t *testing.T, stdin io.Reader, args ...string) (string, error) {
	t.Helper()
	command := exec.Command("docker", append([]string{"--host", e.address, "--config", e.dir + "/client"}, args...)...)
	command.Stdin = stdin
	output, err := command.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

func (e *engine) must(t *testing.T, stdin io.Reader, args ...string) string {
	t.Helper()
	output, err := e.docker(t, stdin, args...)
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, output)
	}
	return output
}

// image makes an image whose only program sleeps.
func (e *engine) image(t *testing.T, name string) {
	t.Helper()
	dir := t.TempDir()
	put(t, dir+"/main.go", "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n", 0o600)
	build := exec.Command("go", "build", "-o", dir+"/sleep", dir+"/main.go")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	tar, err := exec.Command("tar", "-C", dir, "-c", "sleep").Output()
	if err != nil {
		t.Fatal(err)
	}
	e.must(t, bytes.NewReader(tar), "import", "-c", `CMD ["/sleep"]`, "-", name)
}

// host is the package's view of the test's engine; log takes what it logs.
func (e *engine) host(log io.Writer) *Engine {
	layout := desired.Layout{Root: e.dir + "/host"}
	host := NewEngine(layout, NewDaemon(e.address), &fakeRunner{}, slog.New(slog.NewTextHandler(log, nil)))
	host.config, host.systemd = e.config, false
	return host
}

// plainRegistry serves a registry without TLS at an address that Docker does not
// trust by itself.
func plainRegistry(t *testing.T) string {
	t.Helper()
	if output, err := exec.Command("ip", "address", "add", testNet+"/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Skipf("cannot add an address: %s", output)
	}
	t.Cleanup(func() {
		if err := exec.Command("ip", "address", "delete", testNet+"/32", "dev", "lo").Run(); err != nil {
			t.Error(err)
		}
	})
	listener, err := net.Listen("tcp", testNet+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(slog.NewLogLogger(slog.DiscardHandler, 0)))}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

// TestClientLive pushes to a registry without TLS while a container runs, and never
// restarts the engine.
func TestClientLive(t *testing.T) {
	for _, test := range []struct{ name, before string }{
		{name: "beside entries of others", before: others},
		{name: "alone", before: "{\n  \"debug\": false\n}\n"},
	} {
		t.Run(test.name, func(t *testing.T) { testClientLive(t, test.before) })
	}
}

// others is a daemon.json with an entry of somebody else.
const others = "{\n  \"max-concurrent-uploads\": 3,\n  \"insecure-registries\": [\n    \"192.0.2.1:5000\"\n  ],\n  \"debug\": false\n}\n"

func testClientLive(t *testing.T, before string) {
	e := startEngine(t, before)
	netloc := plainRegistry(t)
	image := netloc + "/test/sleep:1"
	e.image(t, image)
	e.must(t, nil, "run", "--detach", "--network=host", "--name=bystander", image)
	state := func() string {
		return e.must(t, nil, "inspect", "--format={{.State.Pid}} {{.State.StartedAt}} {{.State.Status}}", "bystander")
	}
	running := state()
	if output, err := e.docker(t, nil, "push", image); err == nil {
		t.Fatalf("the engine pushes without TLS by itself: %s", output)
	}
	plain := desired.Client{Netlocs: []string{"127.0.0.1:5000", netloc}, Plain: true}
	var log bytes.Buffer
	ensure := func(client desired.Client) {
		t.Helper()
		notes, err := e.host(&log).Client(t.Context(), client)
		if err != nil || len(notes) > 0 {
			t.Fatalf("notes %q, error %v", notes, err)
		}
	}
	ensure(plain)
	e.must(t, nil, "push", image)
	want := strings.Replace(before, "5000\"\n", "5000\",\n    \""+netloc+"\"\n", 1)
	if before != others {
		want = "{\n  \"debug\": false,\n  \"insecure-registries\": [\n    \"" + netloc + "\"\n  ]\n}\n"
	}
	if content, _ := os.ReadFile(e.config); string(content) != want {
		t.Errorf("daemon.json is %s", content)
	}

	log.Reset()
	info, _ := os.Stat(e.config)
	ensure(plain)
	if after, _ := os.Stat(e.config); log.Len() > 0 || !os.SameFile(info, after) {
		t.Errorf("a second time it wrote the file or logged %q", log.String())
	}

	ensure(desired.Client{Netlocs: []string{netloc}, CA: []byte("PEM")})
	if content, _ := os.ReadFile(e.config); string(content) != before {
		t.Errorf("daemon.json is left as %s", content)
	}
	if output, err := e.docker(t, nil, "push", image); err == nil {
		t.Errorf("the engine still pushes without TLS: %s", output)
	}
	if now := state(); now != running {
		t.Errorf("container was %s, is %s", running, now)
	}
}

// TestOptionsLive sets options on an engine that runs: it takes those that it can, and
// the note about the others goes away when somebody restarts it.
func TestOptionsLive(t *testing.T) {
	const before = "{\n  \"max-concurrent-uploads\": 3\n}\n"
	e := startEngine(t, before)
	options := config.Host{Engine: config.Engine{Source: "apt", Daemon: map[string]any{
		"labels": []any{"rack=7"}, "shutdown-timeout": 20, "mtu": 1400, "data-root": "/elsewhere",
		// The default, which an engine of somebody else is spared.
		"log-driver": "json-file", "log-opts": map[string]any{"max-size": "10m", "max-file": "100"},
	}}}
	ensure := func(want ...string) {
		t.Helper()
		notes, err := e.host(io.Discard).Ensure(t.Context(), options, desired.Proxy{})
		if diff := cmp.Diff(want, notes); diff != "" || err != nil {
			t.Fatalf("error %v, notes (-want +got):\n%s", err, diff)
		}
	}
	conflict := `docker daemon option "data-root" is an argument of dockerd already and was left alone`
	for range 2 {
		ensure(conflict, restartNote)
	}
	waitFor(t, func() bool { return e.must(t, nil, "info", "--format={{.Labels}}") == "[rack=7]" })
	e.stop(t)
	e.start(t)
	ensure(conflict)
	content, _ := os.ReadFile(e.config)
	if want := "{\n  \"max-concurrent-uploads\": 3,\n  \"labels\": [\n    \"rack=7\"\n  ],\n  \"mtu\": 1400,\n  \"shutdown-timeout\": 20\n}\n"; string(content) != want {
		t.Errorf("daemon.json is %s", content)
	}
	elsewhere := e.host(io.Discard)
	elsewhere.config = e.dir + "/other.json"
	notes, err := elsewhere.Client(t.Context(), desired.Client{Netlocs: []string{testNet + ":5000"}, Plain: true})
	want := []string{`the local Docker Engine needs "insecure-registries": ["` + testNet + `:5000"] to use the registry without TLS (the Docker Engine reads "` + e.config + `")`}
	if diff := cmp.Diff(want, notes); diff != "" || err != nil {
		t.Errorf("error %v, notes (-want +got):\n%s", err, diff)
	}
	if err := e.host(io.Discard).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(e.config); string(content) != before {
		t.Errorf("daemon.json is left as %s", content)
	}
	if _, err := os.Stat(filepath.Join(e.dir, "host/var/lib/docker-registry/engine.json")); err == nil {
		t.Error("the record is left")
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !condition() {
		if pause(ctx, 50*time.Millisecond) != nil {
			t.Fatal("it did not come true")
		}
	}
}

// TestLaunchLive starts an engine the way the charm does where no systemd runs, after
// one that was killed.
func TestLaunchLive(t *testing.T) {
	e := startEngine(t, "{}\n")
	if err := e.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = e.process.Wait()
	host := e.host(io.Discard)
	host.run = &liveRunner{t: t}
	host.daemon.pidFile, host.daemon.containerdPID = e.dir+"/docker.pid", e.dir+"/exec/containerd/containerd.pid"
	if err := os.MkdirAll(e.dir+"/host/var/log", 0o755); err != nil {
		t.Fatal(err)
	}
	options := config.Host{Engine: config.Engine{Opts: e.process.Args[1:]}}
	if _, err := host.Ensure(t.Context(), options, desired.Proxy{}); err != nil {
		t.Fatal(err)
	}
	if !host.daemon.Answers(t.Context()) {
		t.Error("no engine answers")
	}
}

// liveRunner really starts programs, and ends them with the test.
type liveRunner struct {
	Exec
	t *testing.T
}

func (r *liveRunner) Start(c Command) (<-chan struct{}, error) {
	r.t.Helper()
	ended, err := r.Exec.Start(c)
	if err != nil {
		return nil, err
	}
	address := c.Args[len(c.Args)-1]
	for i, arg := range c.Args {
		if arg == "--host" {
			address = c.Args[i+1]
		}
	}
	r.t.Cleanup(func() {
		running, err := NewDaemon(address).process()
		if err != nil {
			return
		}
		if err := syscall.Kill(running.pid, syscall.SIGTERM); err != nil {
			r.t.Error(err)
		}
		<-ended
	})
	return ended, nil
}

func TestProcessLacks(t *testing.T) {
	runs := process{pid: 7, args: []string{"dockerd", "--label", "rack=b12"}}
	for _, test := range []struct {
		name    string
		process process
		args    []string
		want    bool
	}{
		{"nothing asked for", runs, nil, false},
		{"all there", runs, []string{"--label", "rack=b12"}, false},
		{"one missing", runs, []string{"--label", "rack=b13"}, true},
		{"no process", process{}, []string{"--live-restore"}, false},
	} {
		if got := test.process.lacks(test.args); got != test.want {
			t.Errorf("%s: got %v", test.name, got)
		}
	}
}
