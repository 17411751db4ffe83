package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// file copies a file unless that was done before.
func (c *copying) file(name string) error {
	info, err := c.from.Lstat(name)
	if err != nil {
		return err
	}
	if there, err := c.to.Lstat(name); err == nil && there.Mode().IsRegular() &&
		there.Size() == info.Size() && there.ModTime().Equal(info.ModTime()) {
		return c.give(name, info.Mode().Perm())
	}
	temp := path.Join(path.Dir(name), ".docker-registry-moving")
	sum, err := c.write(name, temp)
	if err != nil {
		return err
	}
	if err := c.verify(temp, sum); err != nil {
		return err
	}
	if err := c.give(temp, info.Mode().Perm()); err != nil {
		return err
	}
	// Without its time a file is looked at again by the next pass.
	if c.last || time.Since(info.ModTime()) > fresh {
		if err := c.to.Chtimes(temp, info.ModTime(), info.ModTime()); err != nil {
			return err
		}
	}
	if want := blobDigest(name); want != "" && want != hex.EncodeToString(sum) {
		c.log.Warn("blob was damaged before it was copied", "path", path.Join(c.from.Name(), name))
	}
	return c.to.Rename(temp, name)
}

// write copies a file and has it on the disk.
func (c *copying) write(name, temp string) (sum []byte, err error) {
	source, err := c.from.Open(name)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	target, err := c.to.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(target, hash), until{c.ctx, source})
	return hash.Sum(nil), errors.Join(err, target.Sync(), target.Close())
}

// verify reads back from the disk what was written.
func (c *copying) verify(temp string, want []byte) error {
	target, err := c.to.Open(temp)
	if err != nil {
		return err
	}
	defer target.Close()
	// Otherwise memory would tell what the disk should have. Where that cannot be had,
	// the comparison is as good as it gets.
	_ = unix.Fadvise(int(target.Fd()), 0, 0, unix.FADV_DONTNEED)
	hash := sha256.New()
	if _, err := io.Copy(hash, until{c.ctx, target}); err != nil {
		return err
	}
	if !bytes.Equal(hash.Sum(nil), want) {
		return errors.New("its copy reads otherwise; check the disk of the storage")
	}
	return nil
}

// until reads until its context ends.
type until struct {
	ctx context.Context
	io.Reader
}

func (u until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}

// blobDigest is the SHA-256 that a file has by its name, "" for what is no blob:
// .../blobs/sha256/<two digits>/<digest>/data.
func blobDigest(name string) string {
	dir, file := path.Split(name)
	digest := path.Base(dir)
	if file != "data" || len(digest) != hex.EncodedLen(sha256.Size) {
		return ""
	}
	if kind := path.Dir(path.Dir(path.Dir(name))); path.Base(kind) != "sha256" {
		return ""
	}
	return digest
}
