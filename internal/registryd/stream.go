package registryd

import (
	"context"
	"fmt"

	"github.com/distribution/distribution/v3"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"docker-registry-operator/internal/registryd/stream"
)

// streamName is the registry middleware that comes before those of the configuration.
const streamName = "registryd-stream"

// streamed has the registry of the application under construction send blobs in our way: the context of a registry
// middleware is the application itself, and driver is its storage with all that the configuration puts before it.
func streamed(ctx context.Context, registry distribution.Namespace, driver storagedriver.StorageDriver, _ map[string]any) (distribution.Namespace, error) {
	a, ok := ctx.Value(captureKey{}).(*application)
	if !ok {
		return nil, fmt.Errorf("registry middleware %q is not for configuration files", streamName)
	}
	// distribution has made sure that it is a bool, if it is there.
	direct, _ := a.Config.Storage["redirect"]["disable"].(bool)
	return stream.New(registry, stream.Options{Driver: driver, Redirect: !direct, Log: a.log}), nil
}
