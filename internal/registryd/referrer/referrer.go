// Package referrer finds the manifests of a repository that refer to another one as their subject. It
// asks storage each time, so that it knows what other registries on the same storage, or this one before
// it knew of referrers, have pushed and deleted. How a client is answered is left to others.
package referrer

import (
	"cmp"
	"context"
	"path"
	"slices"
	"sync"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"docker-registry-operator/internal/registryd/layout"
)

const (
	// readers bounds how many manifests are read at a time: a storage service takes
	// about 20 ms for each.
	readers = 16
	// remembered bounds how many manifests are known: one takes about 100 bytes.
	remembered = 100_000
)

// An Index knows what the manifests on a storage refer to.
type Index struct {
	storage storagedriver.StorageDriver

	mu sync.Mutex
	// known is what manifests say, by their digest, which it holds for ever.
	known map[digest.Digest]*statement
	// updating has indexes at fallback tags written by one request at a time.
	updating sync.Mutex
}

// New is the index of a storage. It reads nothing yet.
func New(storage storagedriver.StorageDriver) *Index {
	return &Index{storage: storage, known: make(map[digest.Digest]*statement)}
}

// Of lists the manifests of the repository with that name which refer to subject, ordered by digest.
// There need not be such a repository or subject.
func (x *Index) Of(ctx context.Context, name string, subject digest.Digest) ([]v1.Descriptor, error) {
	revisions, err := x.revisions(ctx, name)
	if err != nil {
		return nil, err
	}
	var (
		found []v1.Descriptor
		mu    sync.Mutex
	)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, revision := range revisions {
		if said, ok := x.recall(revision); ok && (said == nil || said.subject != subject) {
			continue
		}
		group.Go(func() error {
			said, err := x.examine(ctx, name, revision, subject)
			if err != nil || said == nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, said.descriptor)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b v1.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	return found, nil
}

// examine returns what the manifest says if it is in the repository and refers to subject, else nil.
func (x *Index) examine(ctx context.Context, name string, revision, subject digest.Digest) (*statement, error) {
	said, err := x.read(ctx, revision)
	if err != nil || said == nil || said.subject != subject {
		return nil, err
	}
	// A directory may outlive the link of a manifest that was deleted.
	if _, err := layout.Resolve(ctx, x.storage, layout.Revision(name, revision)); err != nil {
		if layout.Missing(err) {
			err = nil
		}
		return nil, err
	}
	return said, nil
}

// Subject is what a manifest refers to, "" if it refers to nothing or is gone. One that was deleted is not
// gone before garbage is collected.
func (x *Index) Subject(ctx context.Context, revision digest.Digest) (digest.Digest, error) {
	said, err := x.read(ctx, revision)
	if err != nil || said == nil {
		return "", err
	}
	return said.subject, nil
}

// read is what a manifest says, nil if it refers to nothing or is gone.
func (x *Index) read(ctx context.Context, revision digest.Digest) (*statement, error) {
	if said, ok := x.recall(revision); ok {
		return said, nil
	}
	content, err := x.storage.GetContent(ctx, layout.Blob(revision))
	if layout.Missing(err) {
		return nil, nil // it may come back, so this is not remembered
	}
	if err != nil {
		return nil, err
	}
	said := parse(revision, content)
	if said == nil || said.light() {
		x.remember(revision, said)
	}
	return said, nil
}

func (x *Index) recall(revision digest.Digest) (said *statement, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	said, ok = x.known[revision]
	return said, ok
}

// remember forgets something else if it has to.
func (x *Index) remember(revision digest.Digest, said *statement) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.known) >= remembered {
		for other := range x.known {
			delete(x.known, other)
			break
		}
	}
	x.known[revision] = said
}

// revisions lists the manifests that the repository has, or has had.
func (x *Index) revisions(ctx context.Context, name string) ([]digest.Digest, error) {
	algorithms, err := x.list(ctx, layout.Revisions(name))
	if err != nil {
		return nil, err
	}
	var revisions []digest.Digest
	for _, algorithm := range algorithms {
		manifests, err := x.list(ctx, algorithm)
		if err != nil {
			return nil, err
		}
		for _, manifest := range manifests {
			revision := digest.NewDigestFromEncoded(digest.Algorithm(path.Base(algorithm)), path.Base(manifest))
			if revision.Validate() == nil {
				revisions = append(revisions, revision)
			}
		}
	}
	return revisions, nil
}

func (x *Index) list(ctx context.Context, directory string) ([]string, error) {
	entries, err := x.storage.List(ctx, directory)
	if layout.Missing(err) {
		return nil, nil
	}
	return entries, err
}
