package storagetest

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// room is what there is for images, and more is what there is later.
const room, more = 16 * mebibyte, 256 * mebibyte

// TestDiskFull has a file system that is too small, and makes it larger.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("root is needed to mount a small file system")
	}
	each(t, []*backend{onDisk}, func(t *testing.T, b *backend) {
		disk := t.TempDir()
		must(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d", room)))
		t.Cleanup(func() { must(t, syscall.Unmount(disk, syscall.MNT_DETACH)) })
		r := startRegistry(t, b, section{"filesystem": section{"rootdirectory": disk}})
		full(t, r, "no space left on device", func() {
			must(t, syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", more)))
		})
	})
}

// full pushes a blob that does not fit beside one that is there, makes room, and pushes it again.
func full(t *testing.T, r *registry, reason string, makeRoom func()) {
	t.Helper()
	c := r.client()
	kept, big := newBlob(t, 'f', mebibyte), newBlob(t, 'g', 32*mebibyte)
	must(t, c.pushImage("app", "v1", kept))
	for name, push := range map[string]func() error{
		"whole":  func() error { return c.pushWhole("app", big) },
		"chunks": func() error { return c.pushChunks("app", big, 4*mebibyte) },
	} {
		err := push()
		if err == nil {
			t.Fatalf("%s: a blob is taken for which there is no room", name)
		}
		t.Logf("%s: %v", name, err)
		must(t, c.gone("app", "/blobs/"+big.digest))
		must(t, c.pullImage("app", "v1", kept))
	}
	if !strings.Contains(r.log(), reason) {
		t.Errorf("the registry does not tell of %q", reason)
	}
	makeRoom()
	must(t, c.pushImage("app", "v2", kept, big))
	must(t, c.pullImage("app", "v2", kept, big))
}
