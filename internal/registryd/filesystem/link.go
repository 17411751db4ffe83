package filesystem

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"docker-registry-operator/internal/registryd/rawfile"
)

// readyLink is the name of the link to the blob that an upload becomes, among the files of that upload.
const readyLink = "link"

// link is a file that distribution writes when an upload has become a blob.
type link struct{ path, digest string }

// ready has the bytes that become a blob on the disk, and at the same time the content of the link that
// distribution writes next. The link waits with the upload, which goes if it is never written.
func (d *driver) ready(from, source, digest string) error {
	expected, ok := linkOf(from, digest)
	if !ok {
		return syncOne(source)
	}
	waiting := filepath.Join(filepath.Dir(source), readyLink)
	// It is written before anything is synced, so that one commit of a journal has both.
	if err := d.write(waiting, os.O_TRUNC, []byte(digest), false); err != nil {
		return err
	}
	if err := syncAll(source, waiting); err != nil {
		return err
	}
	d.links.Store(expected, waiting)
	return nil
}

// linkOf is the link to a blob in the repository to which the file at path was uploaded:
// https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/paths.go
func linkOf(path, digest string) (link, bool) {
	repository, _, ok := strings.Cut(path, uploads)
	algorithm, hex, _ := strings.Cut(digest, ":")
	return link{strings.Join([]string{repository, "_layers", algorithm, hex, "link"}, "/"), digest}, ok
}

// placeLink gives the link that waits for it its place, on the disk together with the name of its blob. If there
// is none, or no more, it is not placed.
func (d *driver) placeLink(path, full string, content []byte) (placed bool, err error) {
	waiting, ok := d.links.LoadAndDelete(link{path, string(content)})
	if !ok {
		return false, nil
	}
	dir := filepath.Dir(full)
	if err := d.entries.mkdir(dir); err != nil {
		return false, err
	}
	if err := rawfile.Rename(waiting.(string), full); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return false, err
	}
	var syncs errgroup.Group
	syncs.Go(func() error { return d.settle(content) })
	syncs.Go(func() error { return d.entries.sync(dir) })
	return true, syncs.Wait()
}

// forgetLinks forgets the links that wait in a directory which is about to be deleted.
func (d *driver) forgetLinks(dir string) {
	d.links.Range(func(expected, waiting any) bool {
		if strings.HasPrefix(waiting.(string), dir+"/") {
			d.links.Delete(expected)
		}
		return true
	})
}
