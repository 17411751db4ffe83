package actions

import (
	"context"
	"fmt"

	"docker-registry-operator/internal/image"
	"docker-registry-operator/internal/operator"
)

// Images takes images into the unit's registry without an action: as related clients
// ask for them.
type Images struct{}

var _ operator.Images = Images{}

// Has says that the unit's registry has a repository's tag.
func (Images) Has(ctx context.Context, access operator.Access, repository, tag string) (bool, error) {
	return image.Has(ctx, named(access, repository, tag), destination(access))
}

// Take copies an image of another registry to a repository's tag.
func (Images) Take(ctx context.Context, access operator.Access, from, repository, tag string, progress func(string)) error {
	progress("Taking in " + from)
	quiet := func(string) {}
	return image.Copy(ctx, source(pushRequest{image: from}, access), named(access, repository, tag), destination(access), quiet)
}

func named(access operator.Access, repository, tag string) string {
	return fmt.Sprintf("%s/%s:%s", access.Netloc, repository, tag)
}
