package filesystem

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/google/go-cmp/cmp"
)

const (
	anUpload = "/docker/registry/v2/repositories/app/_uploads/0/"
	aBlob    = "/docker/registry/v2/blobs/sha256/00/00/data"
)

// TestUpload goes the way of an upload: what is found on the way and what is left.
func TestUpload(t *testing.T) {
	root := t.TempDir()
	d, ctx := newDriver(newDirectory(root), defaultThreads), t.Context()
	check(t, d.PutContent(ctx, anUpload+startedAt, []byte("2026-01-02T03:04:05Z")))
	check(t, d.PutContent(ctx, anUpload+"hashstates/sha256/0", []byte("nothing")))
	first, err := d.Writer(ctx, anUpload+data, false)
	check(t, err)
	_, err = first.Write([]byte("one"))
	check(t, err)
	check(t, d.PutContent(ctx, anUpload+"hashstates/sha256/3", []byte("state")))
	check(t, first.Close())
	if states, err := d.List(ctx, anUpload+"hashstates/sha256"); err != nil || len(states) != 1 {
		t.Errorf("states of the digest are %q, %v", states, err)
	}
	second, err := d.Writer(ctx, anUpload+data, true)
	check(t, err)
	_, err = second.Write([]byte("two"))
	check(t, err)
	if second.Size() != 6 {
		t.Errorf("size %d", second.Size())
	}
	check(t, second.Commit(ctx))
	check(t, d.PutContent(ctx, anUpload+"hashstates/sha256/6", []byte("state")))
	check(t, second.Close())
	check(t, d.Move(ctx, anUpload+data, aBlob))
	check(t, d.Delete(ctx, filepath.Clean(anUpload)))
	content, err := d.GetContent(ctx, aBlob)
	if err != nil || string(content) != "onetwo" {
		t.Errorf("the blob has %q, %v", content, err)
	}
	var left []string
	check(t, filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if info.Mode().IsRegular() {
			left = append(left, path[len(root):])
		}
		return err
	}))
	if diff := cmp.Diff([]string{aBlob}, left); diff != "" {
		t.Error(diff)
	}
	if err := d.Delete(ctx, filepath.Clean(anUpload)); !errors.As(err, new(storagedriver.PathNotFoundError)) {
		t.Errorf("deleted again: %v", err)
	}
}

// TestUploadAfterCut has the state of an upload as a power cut may leave it: files without content.
func TestUploadAfterCut(t *testing.T) {
	root := t.TempDir()
	d, ctx := newDriver(newDirectory(root), defaultThreads), t.Context()
	check(t, d.PutContent(ctx, anUpload+startedAt, nil))
	check(t, d.PutContent(ctx, anUpload+"hashstates/sha256/3", nil))
	then := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	check(t, os.Chtimes(filepath.Join(root, anUpload, startedAt), then, then))
	content, err := d.GetContent(ctx, anUpload+startedAt)
	if err != nil || string(content) != "2026-01-02T03:04:05Z" {
		t.Errorf("the upload began at %q, %v", content, err)
	}
	if states, err := d.List(ctx, anUpload+"hashstates/sha256"); err != nil || len(states) > 0 {
		t.Errorf("states of the digest are %q, %v", states, err)
	}
}

// TestFull has no room for bytes that are to be kept: none of them are, and those before stay.
func TestFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("root is needed to mount a small file system")
	}
	root := t.TempDir()
	check(t, syscall.Mount("tmpfs", root, "tmpfs", 0, "size=256k"))
	t.Cleanup(func() { check(t, syscall.Unmount(root, syscall.MNT_DETACH)) })
	d, ctx := newDriver(newDirectory(root), defaultThreads), t.Context()
	w, err := d.Writer(ctx, anUpload+data, false)
	check(t, err)
	_, err = w.Write([]byte("kept"))
	check(t, err)
	check(t, w.Close())
	w, err = d.Writer(ctx, anUpload+data, true)
	check(t, err)
	_, err = w.Write(bytes.Repeat([]byte("x"), 1<<20))
	if want := "cannot write " + anUpload + data + ": no space left on device"; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if err := w.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("closed with %v", err)
	}
	content, err := d.GetContent(ctx, anUpload+data)
	if err != nil || string(content) != "kept" {
		t.Errorf("the upload has %d bytes, %v", len(content), err)
	}
	err = d.PutContent(ctx, aBlob, bytes.Repeat([]byte("x"), 1<<20))
	if want := "filesystem: cannot write " + aBlob + ": no space left on device"; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if left, err := d.List(ctx, filepath.Dir(aBlob)); err != nil || len(left) > 0 {
		t.Errorf("left are %q, %v", left, err)
	}
}

// TestReadOnly has a file system that takes nothing.
func TestReadOnly(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("root is needed to mount a file system")
	}
	root := t.TempDir()
	check(t, syscall.Mount("tmpfs", root, "tmpfs", syscall.MS_RDONLY, ""))
	t.Cleanup(func() { check(t, syscall.Unmount(root, syscall.MNT_DETACH)) })
	d, ctx := newDriver(newDirectory(root), defaultThreads), t.Context()
	err := d.PutContent(ctx, aBlob, nil)
	if want := "filesystem: cannot write " + aBlob + ": read-only file system"; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if _, err := d.Stat(ctx, "/"); err != nil {
		t.Error(err)
	}
}
