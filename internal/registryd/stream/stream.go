// Package stream sends blobs from storage of any kind through a small buffer that is used again, where distribution
// makes one of 4 MiB for each request. It takes the place of the sending only: who may have a blob, whether the
// repository has a link to it, how large it is and who is notified stay with distribution.
package stream

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"

	"docker-registry-operator/internal/registryd/layout"
)

// cacheControl is what distribution sends with a blob: a year.
const cacheControl = "max-age=31536000"

// Options are what New needs to know.
type Options struct {
	// Driver is the storage that the registry was made with.
	Driver storagedriver.StorageDriver
	// Redirect lets Driver send clients elsewhere for a blob.
	Redirect bool
	// Log gets a line for each blob that storage did not give whole.
	Log *logrus.Entry
}

// New is registry, but for how it sends blobs.
func New(registry distribution.Namespace, options Options) distribution.Namespace {
	streaming := namespace{registry, options}
	if remover, ok := registry.(distribution.RepositoryRemover); ok {
		return removable{streaming, remover}
	}
	return streaming
}

type namespace struct {
	distribution.Namespace
	Options
}

// removable is a namespace of which distribution's application may remove repositories.
type removable struct {
	namespace
	distribution.RepositoryRemover
}

// Repository is the repository of that name.
func (n namespace) Repository(ctx context.Context, name reference.Named) (distribution.Repository, error) {
	found, err := n.Namespace.Repository(ctx, name)
	if err != nil {
		return nil, err
	}
	return repository{found, n.Options}, nil
}

type repository struct {
	distribution.Repository
	options Options
}

// Blobs are the blobs of the repository.
func (r repository) Blobs(ctx context.Context) distribution.BlobStore {
	return &blobs{BlobStore: r.Repository.Blobs(ctx), Options: r.options}
}

// blobs are the blobs of a repository for one request.
type blobs struct {
	distribution.BlobStore
	Options
	last atomic.Pointer[lookup]
}

// lookup is what was found of a blob.
type lookup struct {
	asked digest.Digest
	found v1.Descriptor
}

// Stat describes a blob to which the repository has a link. A pull asks three times: the handler, ServeBlob and what
// notifies of the pull. Storage, which takes two requests to tell, is asked the first time.
func (b *blobs) Stat(ctx context.Context, asked digest.Digest) (v1.Descriptor, error) {
	if last := b.last.Load(); last != nil && last.asked == asked {
		return last.found, nil
	}
	found, err := b.BlobStore.Stat(ctx, asked)
	if err == nil {
		b.last.Store(&lookup{asked, found})
	}
	return found, err
}

// ServeBlob answers r, a GET or a HEAD, with the blob of that digest or with where it is. If storage does not begin to
// give it, nothing is sent and the error is for distribution to answer with: it is of the API, BLOB_UNKNOWN, if
// there is no object. If storage does not go on, the connection is broken off by a panic with http.ErrAbortHandler.
func (b *blobs) ServeBlob(ctx context.Context, w http.ResponseWriter, r *http.Request, asked digest.Digest) error {
	blob, err := b.Stat(ctx, asked)
	if err != nil {
		return err
	}
	path := layout.Blob(blob.Digest)
	w.Header().Set("Content-Type", blob.MediaType)
	if b.Redirect {
		elsewhere, err := b.Driver.RedirectURL(r, path)
		if err != nil {
			return err
		}
		if elsewhere != "" {
			http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
			return nil
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	stored := &content{ctx: ctx, driver: b.Driver, path: path, size: blob.Size}
	defer func() {
		cancel() // ends a Read that close would wait for
		stored.close()
	}()
	answer := newResponse(w)
	answer.header.Set("Etag", `"`+blob.Digest.String()+`"`)
	answer.header.Set("Cache-Control", cacheControl)
	answer.header.Set("Docker-Content-Digest", blob.Digest.String())
	http.ServeContent(answer, r, "", time.Time{}, stored)
	return b.finish(ctx, answer, blob.Digest, stored.failure())
}

// finish ends an answer of which storage has given all, or less for the reason of err.
func (b *blobs) finish(ctx context.Context, answer *response, blob digest.Digest, err error) error {
	switch {
	case err == nil:
		answer.release()
		return nil
	case !answer.begun && errors.As(err, new(storagedriver.PathNotFoundError)):
		return errcode.ErrorCodeBlobUnknown.WithDetail(blob)
	case !answer.begun:
		return err
	case ctx.Err() != nil:
		return nil // it was the client that did not wait
	}
	b.Log.WithContext(ctx).WithError(err).WithField("blob", blob).Error("blob broken off")
	panic(http.ErrAbortHandler)
}
