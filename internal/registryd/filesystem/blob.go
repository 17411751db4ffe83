package filesystem

import (
	"path/filepath"
	"strings"
)

// blobs are the bytes that all repositories share, each below its digest:
// https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/paths.go
const blobs = "/docker/registry/v2/blobs/"

// isBlob says that path is among the bytes that all repositories share.
func isBlob(path string) bool { return strings.HasPrefix(path, blobs) }

// blobOf is the digest of the blob whose bytes are at path.
func blobOf(path string) (digest string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(path, blobs), "/")
	if !isBlob(path) || len(parts) != 4 || parts[3] != data {
		return "", false
	}
	return parts[0] + ":" + parts[2], true
}

// appear has a file get its name by place, on the disk. Nobody is told of a blob before it has a link, so
// its name is put there together with the link that is written next. It is remembered before others can see
// the blob, and after: a link that was written in between has been too early for it.
func (d *driver) appear(path, full string, place func() error) error {
	digest, ok := blobOf(path)
	if !ok {
		if err := place(); err != nil {
			return err
		}
		return d.entries.sync(filepath.Dir(full))
	}
	d.named.Store(digest, filepath.Dir(full))
	err := place()
	d.named.Store(digest, filepath.Dir(full))
	return err
}

// settle puts the name of the blob that content links to on the disk.
func (d *driver) settle(content []byte) error {
	digest := string(content)
	dir, ok := d.named.Load(digest)
	if !ok {
		return nil
	}
	if err := d.entries.sync(dir.(string)); err != nil {
		return err
	}
	d.named.CompareAndDelete(digest, dir)
	return nil
}
