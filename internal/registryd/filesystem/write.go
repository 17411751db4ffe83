package filesystem

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"docker-registry-operator/internal/registryd/rawfile"
)

// PutContent replaces a file at once. It is on the disk when PutContent returns, but for two kinds: the state of
// an upload is put there when the upload acknowledges bytes, and the name of a blob when it is linked.
func (d *driver) PutContent(_ context.Context, path string, content []byte) error {
	full, err := d.full(path)
	if err != nil {
		return err
	}
	if up, ok := uploadOf(path); ok {
		return failed("write", path, d.putState(up, full, content))
	}
	if placed, err := d.placeLink(path, full, content); placed || err != nil {
		return failed("write", path, err)
	}
	return failed("write", path, d.appear(path, full, func() error {
		var writes errgroup.Group
		writes.Go(func() error { return d.settle(content) })
		writes.Go(func() error { return d.replace(full, content, true) })
		return writes.Wait()
	}))
}

// putState leaves out states of digests that nobody will read: that of nothing, and that of bytes which only
// wait to become a blob. Of the time at which the upload began GetContent knows what to make if it is not
// whole.
func (d *driver) putState(up upload, full string, content []byte) error {
	switch {
	case up.file == startedAt:
		return d.write(full, os.O_TRUNC, content, false)
	case up.isHashState() && (up.isFirst() || d.isCommitted(up)):
		return nil
	}
	return d.replace(full, content, false)
}

// isCommitted says that all bytes of the upload are there and only wait to become a blob.
func (d *driver) isCommitted(up upload) bool {
	_, ok := d.commits.Load(up.dir)
	return ok
}

// replace keeps the file as it is until the new one is whole, on the disk if that is asked for.
func (d *driver) replace(full string, content []byte, sync bool) error {
	temp := full + "." + rand.Text() + ".tmp"
	err := d.write(temp, os.O_EXCL, content, sync)
	if err == nil {
		err = rawfile.Rename(temp, full)
	}
	if err != nil {
		return errors.Join(err, removeAny(temp))
	}
	return nil
}

func (d *driver) write(full string, flag int, content []byte, sync bool) error {
	file, err := d.create(full, flag)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil && sync {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// create opens a file for writing, in a directory that is made if it is missing.
func (d *driver) create(full string, flag int) (*os.File, error) {
	flag |= os.O_WRONLY | os.O_CREATE
	file, err := rawfile.Open(full, flag)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if err := d.entries.mkdir(filepath.Dir(full)); err != nil {
		return nil, err
	}
	return rawfile.Open(full, flag)
}

// removeAny removes a file that may not be there.
func removeAny(full string) error {
	err := os.Remove(full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Move gives a file another path, over one that is there. It has that path on the disk when Move returns, or, if
// it becomes a blob, when that is linked; the bytes of a blob are there before.
func (d *driver) Move(_ context.Context, from, to string) error {
	source, err := d.full(from)
	if err != nil {
		return err
	}
	target, err := d.full(to)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(source); err != nil {
		return failed("move", from, err)
	}
	if err := d.entries.mkdir(filepath.Dir(target)); err != nil {
		return failed("make directory of", to, err)
	}
	if digest, ok := blobOf(to); ok {
		if err := d.ready(from, source, digest); err != nil {
			return failed("write", from, err)
		}
	}
	return failed("move", from, d.appear(to, target, func() error { return rawfile.Rename(source, target) }))
}

// Delete removes a file, or a directory with all that it has. A repository's are off the disk when Delete
// returns; what is left of an upload, and a blob that no repository has, would do no harm there.
func (d *driver) Delete(_ context.Context, path string) error {
	full, err := d.full(path)
	if err != nil {
		return err
	}
	if up, ok := uploadOf(path); ok {
		d.forgetLinks(full)
		return failed("delete", path, up.remove(full))
	}
	if err := remove(full); err != nil {
		return failed("delete", path, err)
	}
	d.entries.forgetAll()
	if isBlob(path) {
		return nil
	}
	return failed("delete", path, syncOne(filepath.Dir(full)))
}

// remove fails if there is nothing to remove.
func remove(full string) error {
	err := os.Remove(full)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(full)
}
