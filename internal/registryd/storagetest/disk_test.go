package storagetest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kinds are file systems in which operators keep images. The journal of ext4 and the log of XFS save with one
// sync what another one forgot; that of btrfs saves what is asked for.
var kinds = []kind{
	{"ext4", "commit=3600,noauto_da_alloc"},
	{"xfs", "rw"},
	{"btrfs", "commit=300"},
}

// A kind is a kind of file system. What it is mounted with keeps the kernel from writing by itself.
type kind struct {
	name, options string
}

// A disk is a file system of its own, on a file, whose power can be cut.
type disk struct {
	t *testing.T
	kind
	image  string // what is on the disk, as opposed to what the kernel would still write there
	device string
	dir    string // where it is mounted
}

func newDisk(t *testing.T, k kind) *disk {
	t.Helper()
	d := &disk{t: t, kind: k, image: filepath.Join(t.TempDir(), "disk"), dir: t.TempDir()}
	must(t, os.WriteFile(d.image, nil, 0o600))
	must(t, os.Truncate(d.image, 512*mebibyte))
	d.run("mkfs."+k.name, "-q", d.image)
	d.attach()
	t.Cleanup(d.detach)
	return d
}

// run runs a program and returns what it says.
func (d *disk) run(program string, args ...string) string {
	d.t.Helper()
	said, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s %q: %v\n%s", program, args, err, said)
	}
	return strings.TrimSpace(string(said))
}

func (d *disk) attach() {
	d.t.Helper()
	d.device = d.run("losetup", "--find", "--show", d.image)
	d.run("mount", "-t", d.name, "-o", d.options, d.device, d.dir)
}

func (d *disk) detach() {
	d.t.Helper()
	if d.device == "" {
		return
	}
	d.run("umount", d.dir)
	d.run("losetup", "--detach", d.device)
	d.device = ""
}

// cut keeps aside what has reached the disk at this moment. Nobody may be writing.
func (d *disk) cut() {
	d.t.Helper()
	d.run("cp", "--sparse=always", d.image, d.image+".cut")
}

// restore goes on from there. Nobody may use the disk.
func (d *disk) restore() {
	d.t.Helper()
	d.detach()
	must(d.t, os.Rename(d.image+".cut", d.image))
	d.attach()
}

// TestCut holds that a cut loses what was not synced, without which no test that cuts would show anything.
func TestCut(t *testing.T) {
	eachDisk(t, func(t *testing.T, d *disk) {
		kept, lost := filepath.Join(d.dir, "kept"), filepath.Join(d.dir, "lost")
		must(t, os.WriteFile(kept, []byte("content"), 0o600))
		for _, path := range []string{kept, d.dir} {
			file, err := os.Open(path)
			must(t, err)
			must(t, file.Sync())
			must(t, file.Close())
		}
		must(t, os.WriteFile(lost, []byte("content"), 0o600))
		d.cut()
		d.restore()
		if content, err := os.ReadFile(kept); err != nil || string(content) != "content" {
			t.Errorf("what was synced has %q: %v", content, err)
		}
		if content, err := os.ReadFile(lost); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what was not synced has %q: %v", content, err)
		}
	})
}

// eachDisk runs a test on each kind of file system.
func eachDisk(t *testing.T, test func(*testing.T, *disk)) {
	if os.Getuid() != 0 {
		t.Skip("root is needed to mount a file system")
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			if _, err := exec.LookPath("mkfs." + k.name); err != nil {
				t.Skip("missing: mkfs." + k.name)
			}
			test(t, newDisk(t, k))
		})
	}
}
