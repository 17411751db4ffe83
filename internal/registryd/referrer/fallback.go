package referrer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"docker-registry-operator/internal/registryd/layout"
)

// rounds bounds how often an index is written again because others have pushed meanwhile.
const rounds = 10

// The specification has the parts of a digest cut, in bytes, so that they make a tag:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
const (
	algorithmLength = 32
	encodedLength   = 64
)

// FallbackTag is the tag at which clients keep an index of the referrers of subject where a registry has
// no list of them.
func FallbackTag(subject digest.Digest) string {
	algorithm, encoded := subject.Algorithm().String(), subject.Encoded()
	return algorithm[:min(len(algorithm), algorithmLength)] + "-" + encoded[:min(len(encoded), encodedLength)]
}

// Update brings the index at the fallback tag of subject in step with what the repository holds, if there
// is one: what is gone leaves it, what is new joins it, and the rest stays as the client wrote it. It is
// to be called after each change. Of several registries that change at a time, the last one to write
// looks again at what the others have done.
func (x *Index) Update(ctx context.Context, name string, subject digest.Digest) error {
	tag := FallbackTag(subject)
	_, err := layout.Resolve(ctx, x.storage, layout.Tag(name, tag))
	if layout.Missing(err) {
		return nil // most repositories have none: their pushes need not wait for each other
	}
	x.updating.Lock()
	defer x.updating.Unlock()
	for range rounds {
		written, err := x.update(ctx, name, tag, subject)
		if err != nil {
			return fmt.Errorf("cannot update the index of referrers at tag %s: %w", tag, err)
		}
		if !written {
			return nil
		}
	}
	return fmt.Errorf("cannot update the index of referrers at tag %s: it does not stop changing", tag)
}

// update reports whether it had to write.
func (x *Index) update(ctx context.Context, name, tag string, subject digest.Digest) (bool, error) {
	old, err := x.fallback(ctx, name, tag, subject)
	if err != nil || old == nil {
		return false, err
	}
	present, err := x.Of(ctx, name, subject)
	if err != nil {
		return false, err
	}
	next := make([]v1.Descriptor, 0, len(present))
	for _, listed := range old.Manifests {
		exists, err := x.exists(ctx, name, listed.Digest)
		if err != nil {
			return false, err
		}
		if exists {
			next = append(next, listed)
		}
	}
	for _, referrer := range present {
		if !slices.ContainsFunc(next, func(d v1.Descriptor) bool { return d.Digest == referrer.Digest }) {
			next = append(next, referrer)
		}
	}
	if slices.EqualFunc(old.Manifests, next, func(a, b v1.Descriptor) bool { return a.Digest == b.Digest }) {
		return false, nil
	}
	old.Manifests = next
	return true, x.write(ctx, name, tag, old)
}

// fallback is the index of referrers of subject at tag, nil if there is none.
func (x *Index) fallback(ctx context.Context, name, tag string, subject digest.Digest) (*v1.Index, error) {
	target, err := layout.Resolve(ctx, x.storage, layout.Tag(name, tag))
	if layout.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if target == subject {
		return nil, nil // an image of several platforms, to which cosign copy gives that tag as well
	}
	content, err := x.storage.GetContent(ctx, layout.Blob(target))
	if layout.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var index v1.Index
	if json.Unmarshal(content, &index) != nil || index.MediaType != v1.MediaTypeImageIndex {
		return nil, nil // the tag is used for something else
	}
	return &index, nil
}

func (x *Index) exists(ctx context.Context, name string, revision digest.Digest) (bool, error) {
	if revision.Validate() != nil {
		return false, nil
	}
	_, err := layout.Resolve(ctx, x.storage, layout.Revision(name, revision))
	if layout.Missing(err) {
		return false, nil
	}
	return err == nil, err
}

// write stores index as distribution does and lets tag point to it: whenever it is broken off, the tag
// points to an index that is whole.
func (x *Index) write(ctx context.Context, name, tag string, index *v1.Index) error {
	index.Versioned = specs.Versioned{SchemaVersion: 2}
	content, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return layout.PutManifest(ctx, x.storage, name, digest.FromBytes(content), content, tag)
}
