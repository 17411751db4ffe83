package stories

import (
	"archive/zip"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"docker-registry-operator/tests/charmzip"
	"docker-registry-operator/tests/juju"
)

// A blow kills the next hook, early or late, and says whether it came before the hook's end.
type blow func(p *place) (*juju.Hook, bool, error)

func after(d time.Duration) blow {
	return func(p *place) (*juju.Hook, bool, error) { return p.unit.KillHook(p.ctx, d) }
}

func atTool(n int) blow {
	return func(p *place) (*juju.Hook, bool, error) { return p.unit.KillHookAt(p.ctx, n) }
}

// blows hit from the first hook tool to the time at which a hook on an idle machine is done.
func blows() []blow {
	return []blow{
		atTool(1), atTool(3), atTool(5), after(60 * time.Millisecond), after(100 * time.Millisecond),
		after(150 * time.Millisecond), after(200 * time.Millisecond), after(300 * time.Millisecond),
		after(450 * time.Millisecond), after(700 * time.Millisecond),
	}
}

// kill kills the next hook and returns its name, "" if it was done before.
func (p *place) kill(b blow) string {
	p.t.Helper()
	hook, killed, err := b(p)
	p.must(err)
	if !killed {
		return ""
	}
	p.t.Logf("%s killed after %s and %d tools", hook.Name, hook.Duration.Round(time.Millisecond), len(hook.Tools))
	return hook.Name
}

// whole wants the unit to be ready with one container of the wanted name, and nothing left over.
func (p *place) whole(name string) {
	p.t.Helper()
	p.wantStatus("active: Ready at " + p.machine.Address() + ":5000 (http).")
	c := p.container()
	if c.Name != "/"+name || c.State.Status != "running" {
		p.t.Errorf("container %s is %s, want %s running", c.Name, c.State.Status, name)
	}
	if left := p.on(`find /etc /srv /var/lib/docker-registry -xdev -name '*.docker-registry-new'`); left != "" {
		p.t.Errorf("left over: %s", left)
	}
	if sockets := p.on(`ls /var/lib/docker-registry/run`); sockets != filepath.Base(c.Config.Labels["docker-registry.socket"]) {
		p.t.Errorf("admin sockets %q, want that of %s", sockets, c.Config.Labels["docker-registry.socket"])
	}
	if images := p.on(`docker images -q docker-registry-charm | wc -l`); images != "1" {
		p.t.Errorf("%s images of the charm", images)
	}
	config, err := p.machine.ReadFile("/etc/docker/registry/config.yml")
	p.must(err)
	if serves := p.served(c.Config.Labels["docker-registry.socket"]); serves != digest(config) {
		p.t.Errorf("registry serves configuration %s, want %s", serves, digest(config))
	}
}

// served is the digest of the configuration that a registry says it serves.
func (p *place) served(socket string) string {
	p.t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return p.machine.Dial(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
	resp, err := client.Get("http://registry/v1/status")
	p.must(err)
	defer func() { _ = resp.Body.Close() }()
	var status struct{ Config string }
	p.must(json.NewDecoder(resp.Body).Decode(&status))
	return status.Config
}

// TestKilledInstall kills install again and again, later each time, until it comes through.
func TestKilledInstall(t *testing.T) {
	p := newPlace(t)
	p.deploy(nil)
	for _, b := range append(blows(), after(900*time.Millisecond), after(1200*time.Millisecond)) {
		if p.kill(b) != "install" {
			break
		}
	}
	p.settle()
	p.update()
	p.whole("registry")
	p.serves(5000)
}

// TestKilledReload kills hooks that give a registry another configuration while it serves.
func TestKilledReload(t *testing.T) {
	p := deployed(t, nil)
	w, serving, levels := p.watch(5000), p.container().ID, []string{"debug", "info"}
	for i, b := range blows() {
		p.set(options{"log-level": levels[i%2]})
		p.kill(b)
		p.settle()
		p.update()
		p.whole("registry")
	}
	p.wantConstant(w)
	if now := p.container().ID; now != serving {
		t.Errorf("container %s was replaced by %s", serving, now)
	}
}

// TestKilledReplacement kills hooks that put another container in the place of one that serves.
func TestKilledReplacement(t *testing.T) {
	p := deployed(t, nil)
	w, names := p.watch(5000), []string{"store", "registry"}
	for i, b := range blows() {
		// A container of another environment has to be made anew, and here under another name too.
		p.set(options{"registry-http-proxy": "http://proxy-" + names[i%2] + ".example.com", "registry-name": names[i%2]})
		p.kill(b)
		p.settle()
		p.drain()
		p.update()
		p.whole(names[i%2])
	}
	p.wantConstant(w)
}

// TestKilledUpgrade kills upgrade-charm, which brings another registry.
func TestKilledUpgrade(t *testing.T) {
	p := deployed(t, nil)
	w, before := p.watch(5000), p.container().Config.Image
	p.must(p.app.Refresh(otherCharm(t)))
	for _, b := range blows() {
		if p.kill(b) != "upgrade-charm" {
			break
		}
	}
	p.settle()
	p.drain()
	p.update()
	p.whole("registry")
	p.wantConstant(w)
	if now := p.container().Config.Image; now == before {
		t.Errorf("image is still %s", now)
	}
}

// TestKilledRemoval kills the hooks that take a unit off its machine. What is left is the images.
func TestKilledRemoval(t *testing.T) {
	p := deployed(t, options{"auth-basic-password": "removed"})
	p.on("echo image > /srv/registry/image")
	p.unit.Remove()
	for _, wait := range []time.Duration{0, 50, 120, 0, 20, 60, 0, 30} {
		// The agent is done after remove, and no further hook comes.
		ctx, cancel := context.WithTimeout(p.ctx, 3*time.Second)
		hook, killed, err := p.unit.KillHook(ctx, wait*time.Millisecond)
		cancel()
		if err != nil {
			break
		}
		t.Logf("%s killed: %v", hook, killed)
	}
	p.must(p.unit.WaitGone(p.ctx))
	if left := p.containers(); len(left) > 0 {
		t.Errorf("containers: %v", left)
	}
	if left := p.on(`ls -A /etc/docker /var/lib/docker-registry 2>&1 | grep -i registry || true; ls /srv/registry`); left != "ls: cannot access '/var/lib/docker-registry': No such file or directory\nimage" {
		t.Errorf("left over: %s", left)
	}
}

// otherCharm is the charm with a registry of another digest.
func otherCharm(t *testing.T) string {
	t.Helper()
	path, err := charm()
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.charm")
	if err := charmzip.Rebuild(other, path); err != nil {
		t.Fatal(err)
	}
	return other
}

// registryOf is the registry's program in the charm.
func registryOf(t *testing.T) []byte {
	t.Helper()
	path, err := charm()
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	registry, err := readEntry(archive, "registry")
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

func readEntry(charm *zip.ReadCloser, name string) ([]byte, error) {
	file, err := charm.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(file)
}
