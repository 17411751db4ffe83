package registryd

import (
	"context"
	"fmt"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/proxy"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// schedulerState is where a pull-through cache keeps what expires when.
const schedulerState = "/scheduler-state.json"

// proxyDriver keeps a generation that no longer serves, or never did, from writing its
// view of the scheduler's state over that of the one which does.
type proxyDriver struct {
	storagedriver.StorageDriver
	owner func() bool
}

// PutContent writes content to path, except the scheduler's state of a former owner.
func (d proxyDriver) PutContent(ctx context.Context, path string, content []byte) error {
	if path == schedulerState && !d.owner() {
		return nil
	}
	return d.StorageDriver.PutContent(ctx, path, content)
}

// checkProxy finds out whether the upstream registry answers. distribution does the same
// after it has started a scheduler, which nothing can stop if the answer is no.
func checkProxy(ctx context.Context, conf configuration.Proxy) error {
	if conf.RemoteURL == "" {
		return nil
	}
	var noScheduler time.Duration
	conf.TTL = &noScheduler
	if _, err := proxy.NewRegistryPullThroughCache(ctx, nil, nil, conf); err != nil {
		return fmt.Errorf("cannot be a pull-through cache: %w", err)
	}
	return nil
}
