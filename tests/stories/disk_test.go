package stories

import (
	"strings"
	"testing"
)

// TestFullDisks holds that a unit with a full disk says which and goes on once there is space, and that
// what serves serves on.
func TestFullDisks(t *testing.T) {
	p := newPlace(t)
	// Small file systems where the charm and the registry write.
	p.on(`for dir in /etc/docker/registry /var/lib/docker-registry /srv/registry; do
		mkdir -p $dir && mount -t tmpfs -o size=256k tmpfs $dir; done; chown 65532:65532 /srv/registry`)
	p.deploy(options{"auth-basic-password": "first"})
	p.settle()
	ready := "active: Ready at " + p.machine.Address() + ":5000 (http)."
	p.wantStatus(ready)
	w, hooks, written := p.watch(5000), len(p.unit.Hooks()), `cat /etc/docker/registry/config.yml /etc/docker/registry/htpasswd`

	for _, disk := range []struct{ dir, want string }{
		{"/etc/docker/registry", `blocked: cannot write "/etc/docker/registry/`},
		{"/var/lib/docker-registry", `blocked: cannot write "/var/lib/docker-registry/`},
	} {
		before := p.on(written)
		p.on(`cat /dev/zero >` + disk.dir + `/filler 2>/dev/null; true`)
		p.set(options{"auth-basic-password": "next " + disk.dir})
		p.settle()
		status := p.unit.Status().String()
		if !strings.HasPrefix(status, disk.want) || !strings.HasSuffix(status, `: no space left on device; free space there, the next hook goes on`) {
			t.Errorf("%s is full: %s", disk.dir, status)
		}
		if now := p.on(written); now != before {
			t.Errorf("%s is full: half written:\n%s\nbefore:\n%s", disk.dir, now, before)
		}
		p.on(`rm ` + disk.dir + `/filler`)
		p.update()
		p.wantStatus(ready)
		if left := p.on(`find ` + disk.dir + ` -name '*.docker-registry-new'`); left != "" {
			t.Errorf("left over: %s", left)
		}
	}
	p.wantConstant(w)
	p.noFailure(hooks)
}

// TestFullImages holds that a push to a full disk fails, that images which are there can be pulled, and that
// pushes go on once there is space.
func TestFullImages(t *testing.T) {
	p := newPlace(t)
	p.on(`mkdir -p /srv/registry && mount -t tmpfs -o size=1m tmpfs /srv/registry && chown 65532:65532 /srv/registry`)
	p.deploy(nil)
	p.settle()
	registry, first := newClient(p.machine, 5000), makeImage("first")
	p.must(registry.push("some/image", "first", first))
	large := makeImage(strings.Repeat("large", 1<<17))
	p.on(`head -c 700k /dev/zero >/srv/registry/filler`)
	if err := registry.push("some/image", "large", large); err == nil {
		t.Error("an image was pushed to a full disk")
	}
	p.must(registry.pull("some/image", "first", first))
	p.update()
	p.noFailure(0)
	p.on(`rm /srv/registry/filler; rm -rf /srv/registry/docker/registry/v2/repositories/some/image/_uploads/*`)
	p.must(registry.push("some/image", "large", large))
	p.must(registry.pull("some/image", "large", large))
}
