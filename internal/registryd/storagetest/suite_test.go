package storagetest

import (
	"testing"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"
	"github.com/distribution/distribution/v3/registry/storage/driver/testsuites"
)

// TestS3Driver is distribution's own suite, with the driver of the version that the registry is linked
// with. The driver of Swift has its suite in its own package.
func TestS3Driver(t *testing.T) {
	each(t, []*backend{onS3}, func(t *testing.T, b *backend) {
		constructor := func() (storagedriver.StorageDriver, error) {
			return factory.Create(t.Context(), "s3aws", b.storage(directory(t), b.address)["s3"].(section))
		}
		testsuites.Driver(t, constructor, false)
	})
}
