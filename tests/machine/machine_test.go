package machine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"docker-registry-operator/tests/machine"
)

func newMachine(t *testing.T, options machine.Options) *machine.Machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	m, err := machine.New(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func run(t *testing.T, m *machine.Machine, name string, args ...string) string {
	t.Helper()
	out, err := m.Command(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestFilesStayInTheMachine(t *testing.T) {
	m := newMachine(t, machine.Options{Name: "juju-1"})
	for _, path := range []string{
		"/etc/docker/registry/test-marker", "/srv/registry/test-marker", "/var/lib/docker-registry/test-marker",
		"/usr/local/share/ca-certificates/test-marker", "/etc/ssl/certs/test-marker", "/run/test-marker",
		"/tmp/test-marker", "/usr/bin/test-marker",
	} {
		run(t, m, "sh", "-c", `mkdir -p "$(dirname "$1")" && echo inside >"$1"`, "sh", path)
		if data, err := m.ReadFile(path); err != nil || string(data) != "inside\n" {
			t.Errorf("%s in the machine: %q, %v", path, data, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is on the host: %v", path, err)
		}
	}
	if err := m.WriteFile("/var/cache/new/file", []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, m, "cat", "/var/cache/new/file"); got != "outside" {
		t.Errorf("written from outside: %q", got)
	}
	if got := run(t, m, "pwd"); got != "/\n" {
		t.Errorf("working directory: %q", got)
	}
	if got := run(t, m, "hostname"); got != "juju-1\n" {
		t.Errorf("host name: %q", got)
	}
	if _, err := m.ReadFile("/etc/docker/daemon.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the host's engine configuration is there: %v", err)
	}
}

func TestShare(t *testing.T) {
	network, err := machine.NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = network.Close() })
	one, other := newMachine(t, machine.Options{Network: network}), newMachine(t, machine.Options{Network: network})
	for _, m := range []*machine.Machine{one, other} {
		run(t, m, "mkdir", "/srv/shared")
	}
	if err := one.Share("/srv/shared", other); err != nil {
		t.Fatal(err)
	}
	run(t, other, "sh", "-c", "echo other >/srv/shared/file")
	if got := run(t, one, "cat", "/srv/shared/file"); got != "other\n" {
		t.Errorf("the file of the other machine: %q", got)
	}
	if err := one.Share("/srv/none", other); err == nil {
		t.Error("a directory was shared that is not there")
	}
}

func TestCommandEndsWithItsContext(t *testing.T) {
	m := newMachine(t, machine.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cmd := m.Command(ctx, "sleep", "4321")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, m, true, "sleep 4321")
	cancel()
	if err := cmd.Wait(); err == nil {
		t.Error("a killed command ended well")
	}
	await(t, m, false, "sleep 4321")
}

// await waits until the machine runs a process with the given arguments, or runs none.
func await(t *testing.T, m *machine.Machine, want bool, args string) {
	t.Helper()
	for range 500 {
		processes, err := m.Processes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, process := range processes {
			found = found || process == args
		}
		if found == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%q: never saw running = %v", args, want)
}

func TestMachinesReachEachOtherAndTheTest(t *testing.T) {
	network, err := machine.NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = network.Close() })
	one := newMachine(t, machine.Options{Network: network})
	two := newMachine(t, machine.Options{Network: network})

	listener, err := one.Listen(t.Context(), "tcp", ":5000")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, listener, "one")
	hub, err := network.Listen(t.Context(), "tcp", machine.Hub+":80")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, hub, "hub")

	for _, c := range []struct {
		from *machine.Machine
		url  string
		want string
	}{
		{one, "http://127.0.0.1:5000", "one"},
		{one, "http://localhost:5000", "one"},
		{one, "http://registry.example:5000", "one"},
		{two, "http://" + one.Address() + ":5000", "one"},
		{two, "http://" + machine.Hub, "hub"},
	} {
		if got := fetch(t, c.from.HTTPClient(), c.url); got != c.want {
			t.Errorf("%s: got %q, want %q", c.url, got, c.want)
		}
	}
	if got := run(t, two, "curl", "-s", "http://"+one.Address()+":5000"); got != "one" {
		t.Errorf("curl in the other machine: %q", got)
	}
	if _, err := two.HTTPClient().Get("http://127.0.0.1:5000"); err == nil {
		t.Error("a port of one machine is open on the other")
	}
}

func fetch(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestEngineRunsContainers(t *testing.T) {
	m := newMachine(t, machine.Options{Engine: true})
	image(t, m, "serve")
	// Host networking: the container's port is the machine's.
	run(t, m, "docker", "run", "-d", "--name", "serving", "--restart", "unless-stopped", "--network", "host",
		"--memory", "64m", "--read-only", "--cap-drop", "ALL", "serve", "/serve", "127.0.0.1:5000", "hello")
	awaitServing(t, m, "http://127.0.0.1:5000")
	if got := strings.TrimSpace(run(t, m, "docker", "info", "-f", "{{.Driver}}")); got != "overlay2" {
		t.Errorf("storage driver: %q", got)
	}
	if out, err := exec.Command("docker", "inspect", "serving").CombinedOutput(); err == nil {
		t.Errorf("the container is known to the host's engine: %s", out)
	}

	if err := m.RestartEngine(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitServing(t, m, "http://127.0.0.1:5000")
	if err := m.KillEngine(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.StartEngine(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, m, "docker", "start", "serving")
	awaitServing(t, m, "http://127.0.0.1:5000")
	if err := m.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, m, "docker", "start", "serving")
	awaitServing(t, m, "http://127.0.0.1:5000")
	// A published port goes through the engine's bridge and the machine's own netfilter.
	run(t, m, "docker", "run", "-d", "-p", "5001:80", "serve", "/serve", ":80", "published")
	awaitServing(t, m, "http://"+m.Address()+":5001")
}

func awaitServing(t *testing.T, m *machine.Machine, url string) {
	t.Helper()
	for range 500 {
		if resp, err := m.HTTPClient().Get(url); err == nil {
			_ = resp.Body.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s does not answer\n%s", url, m.EngineLog())
}

// image makes an image of that name that holds nothing but the program of testdata/serve.
func image(t *testing.T, m *machine.Machine, name string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "serve")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/serve")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WriteFile("/tmp/image/serve", data, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, m, "sh", "-c", fmt.Sprintf("tar -C /tmp/image -c serve | docker import - %s", name))
}

func TestCloseLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	m := newMachine(t, machine.Options{Engine: true})
	homes, err := filepath.Glob(filepath.Join(temp, "*", "machine-*"))
	if err != nil || len(homes) != 1 {
		t.Fatalf("homes: %q, %v", homes, err)
	}
	home, name := homes[0], filepath.Base(homes[0])
	groups := func() []string {
		found, err := filepath.Glob("/sys/fs/cgroup/*/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if len(groups()) == 0 {
		t.Fatalf("no cgroup %s", name)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(home); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("home of a closed machine: %v", err)
	}
	if left := groups(); len(left) != 0 {
		t.Errorf("cgroups of a closed machine: %q", left)
	}
	if mounts, _ := os.ReadFile("/proc/self/mounts"); strings.Contains(string(mounts), name) {
		t.Error("mounts of a closed machine are left")
	}
}
