package registryd

import (
	"context"
	"errors"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// guardedDriver makes an error of a panic. The driver of S3 panics where a server tells no time of an
// object, as a web server does that was taken for an S3 service; it does so in the health check, which
// would end the registry.
type guardedDriver struct{ storagedriver.StorageDriver }

// Stat is Stat of the driver.
func (d guardedDriver) Stat(ctx context.Context, path string) (info storagedriver.FileInfo, err error) {
	defer func() {
		if recover() != nil {
			info, err = nil, errors.New("storage answers with what the driver "+d.Name()+" does not understand")
		}
	}()
	return d.StorageDriver.Stat(ctx, path)
}
