// Package layout names what distribution keeps where on storage, for those parts of the server that
// write beside distribution's application. What they write, a stock registry can read.
package layout

import (
	"context"
	"errors"
	"path"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"
)

// root is where distribution keeps everything:
// https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/paths.go
const root = "/docker/registry/v2"

func repository(name string) string { return path.Join(root, "repositories", name) }

func split(content digest.Digest) string {
	return path.Join(content.Algorithm().String(), content.Encoded())
}

// Blob is the content with that digest.
func Blob(content digest.Digest) string {
	return path.Join(root, "blobs", content.Algorithm().String(), content.Encoded()[:2], content.Encoded(), "data")
}

// Layer is the link that makes a blob one of the repository.
func Layer(name string, content digest.Digest) string {
	return path.Join(repository(name), "_layers", split(content), "link")
}

// Revisions is the directory of the repository's manifests, with one directory for each algorithm.
func Revisions(name string) string { return path.Join(repository(name), "_manifests/revisions") }

// Revision is the link that makes a manifest one of the repository.
func Revision(name string, content digest.Digest) string {
	return path.Join(Revisions(name), split(content), "link")
}

// Tag is the link from a tag to its manifest.
func Tag(name, tag string) string {
	return path.Join(repository(name), "_manifests/tags", tag, "current/link")
}

// TagEntry is the link that records that the tag has pointed to a manifest.
func TagEntry(name, tag string, content digest.Digest) string {
	return path.Join(repository(name), "_manifests/tags", tag, "index", split(content), "link")
}

// Upload is the directory of an upload.
func Upload(name, id string) string { return path.Join(repository(name), "_uploads", id) }

// UploadData is what has been uploaded.
func UploadData(name, id string) string { return path.Join(Upload(name, id), "data") }

// Missing says that err is of what is not there.
func Missing(err error) bool { return errors.As(err, new(storagedriver.PathNotFoundError)) }

// Resolve follows the link at path. It fails with an error that is Missing if there is none.
func Resolve(ctx context.Context, driver storagedriver.StorageDriver, path string) (digest.Digest, error) {
	content, err := driver.GetContent(ctx, path)
	if err != nil {
		return "", err
	}
	return digest.Parse(string(content))
}

// Link makes the link at path point to content, which has to be there.
func Link(ctx context.Context, driver storagedriver.StorageDriver, path string, content digest.Digest) error {
	return driver.PutContent(ctx, path, []byte(content))
}

// PutManifest makes content, which has that digest, a manifest of the repository, and then lets the tags
// point to it. Broken off in between, it leaves no link to what is not there.
func PutManifest(ctx context.Context, driver storagedriver.StorageDriver, name string, content digest.Digest, manifest []byte, tags ...string) error {
	if err := driver.PutContent(ctx, Blob(content), manifest); err != nil {
		return err
	}
	if err := Link(ctx, driver, Revision(name, content), content); err != nil {
		return err
	}
	for _, tag := range tags {
		if err := Link(ctx, driver, TagEntry(name, tag, content), content); err != nil {
			return err
		}
		if err := Link(ctx, driver, Tag(name, tag), content); err != nil {
			return err
		}
	}
	return nil
}
