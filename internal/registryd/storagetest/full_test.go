package storagetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		r, disk := onSmallDisk(t, b)
		full(t, r, "no space left on device", func() {
			must(t, syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", more)))
		})
	})
}

// TestChunkLost has no room for a chunk that the driver holds back until the end of the request.
func TestChunkLost(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("root is needed to mount a small file system")
	}
	each(t, []*backend{onDisk}, func(t *testing.T, b *backend) {
		r, disk := onSmallDisk(t, b)
		c, layer := r.client(), newBlob(t, 'l', 2*kibibyte)
		location, err := c.begin("app")
		must(t, err)
		location, err = c.patch(location, layer, 0, kibibyte)
		must(t, err)
		ballast := filepath.Join(disk, "ballast")
		if err := os.WriteFile(ballast, make([]byte, room), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
		if _, err := c.patch(location, layer, kibibyte, layer.size); err == nil {
			t.Error("a chunk is acknowledged for which there is no room")
		}
		must(t, os.Remove(ballast))
		must(t, c.finish(location, layer, kibibyte))
		must(t, c.pull("app", layer))
	})
}

// onSmallDisk starts a registry on a file system of its own.
func onSmallDisk(t *testing.T, b *backend) (*registry, string) {
	t.Helper()
	disk := t.TempDir()
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d", room)))
	t.Cleanup(func() { must(t, syscall.Unmount(disk, syscall.MNT_DETACH)) })
	return startRegistry(t, b, section{"filesystem": section{"rootdirectory": disk}}), disk
}

// full pushes a blob that does not fit beside one that is there, makes room, and pushes it again.
func full(t *testing.T, r *registry, reason string, makeRoom func()) {
	t.Helper()
	c := r.client()
	kept, big := newBlob(t, 'f', mebibyte), newBlob(t, 'g', 32*mebibyte)
	must(t, c.pushImage("app", "v1", kept))
	for _, err := range []error{c.pushWhole("app", big), c.pushChunks("app", big, 4*mebibyte)} {
		if err == nil {
			t.Fatal("a blob is taken for which there is no room")
		}
		t.Log(err)
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
