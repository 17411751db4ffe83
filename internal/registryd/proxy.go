package registryd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"docker-registry-operator/internal/registryd/upstream"
)

// schedulerState is where a pull-through cache keeps what expires when.
const schedulerState = "/scheduler-state.json"

// cacheWriteTimeout bounds how long a layer may take from the upstream into the cache.
// distribution breaks off pulls that take longer, by default after five minutes, in
// which a slow line brings no large layer. What stands still is broken off in any case.
const cacheWriteTimeout = 24 * time.Hour

// newUpstream is the registry that conf makes a cache of, nil if it makes none. Where a
// program gives the credentials, distribution is left to reach the upstream by itself.
func (s *Server) newUpstream(conf configuration.Proxy) (*upstream.Upstream, error) {
	if conf.RemoteURL == "" || conf.Exec != nil {
		return nil, nil
	}
	return upstream.New(conf, s.log)
}

// throughUpstream is conf for an application that reaches its upstream through u.
func throughUpstream(conf configuration.Proxy, u *upstream.Upstream) configuration.Proxy {
	conf.RemoteURL, conf.Username, conf.Password = u.Address(), "", ""
	if conf.CacheWriteTimeout == nil {
		timeout := cacheWriteTimeout
		conf.CacheWriteTimeout = &timeout
	}
	return conf
}

// proxyDriver keeps the scheduler's state of all who write it: generations that overlap
// and, on shared storage, other registries. Each knows only what was pulled through
// itself and what the state held when it began.
type proxyDriver struct {
	storagedriver.StorageDriver
	// state is held while the state is accessed, by all generations.
	state *sync.Mutex
	// served tells whether the generation has ever been the one that serves: one that
	// was only tried must leave no trace.
	served func() bool
	// known are the entries that the scheduler had when the state was last accessed.
	known map[string]expiry
}

// expiry is an entry of the scheduler's state, as distribution writes it.
type expiry struct {
	Key       string    `json:"Key"`
	Expiry    time.Time `json:"ExpiryData"`
	EntryType int       `json:"EntryType"`
}

// GetContent reads the content at path. A state that was damaged is an empty one, since
// the scheduler would keep the registry from starting.
func (d *proxyDriver) GetContent(ctx context.Context, path string) ([]byte, error) {
	if path != schedulerState {
		return d.StorageDriver.GetContent(ctx, path)
	}
	d.state.Lock()
	defer d.state.Unlock()
	stored, err := d.stored(ctx)
	if err != nil {
		return nil, err
	}
	d.known = stored
	return json.Marshal(stored)
}

// PutContent writes content to path, merged into the scheduler's state if it is that.
func (d *proxyDriver) PutContent(ctx context.Context, path string, content []byte) error {
	if path != schedulerState {
		return d.StorageDriver.PutContent(ctx, path, content)
	}
	if !d.served() {
		return nil
	}
	d.state.Lock()
	defer d.state.Unlock()
	own := make(map[string]expiry)
	if err := json.Unmarshal(content, &own); err != nil {
		return fmt.Errorf("cannot read state of scheduler: %w", err)
	}
	stored, err := d.stored(ctx)
	if err != nil {
		return err
	}
	merged, err := json.Marshal(merge(own, d.known, stored))
	if err != nil {
		return fmt.Errorf("cannot render state of scheduler: %w", err)
	}
	if err := d.StorageDriver.PutContent(ctx, path, merged); err != nil {
		return err
	}
	d.known = own
	return nil
}

// stored is the state that is kept, empty if there is none that can be read.
func (d *proxyDriver) stored(ctx context.Context) (map[string]expiry, error) {
	stored := make(map[string]expiry)
	content, err := d.StorageDriver.GetContent(ctx, schedulerState)
	if errors.As(err, new(storagedriver.PathNotFoundError)) {
		return stored, nil
	}
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(content, &stored) != nil || stored == nil {
		return make(map[string]expiry), nil
	}
	return stored, nil
}

// merge adds to own what others have stored. What is known and no longer own has
// expired, unless it was pulled again since.
func merge(own, known, stored map[string]expiry) map[string]expiry {
	merged := maps.Clone(own)
	for key, entry := range stored {
		mine, ok := own[key]
		if !ok {
			mine, ok = known[key]
		}
		if !ok || entry.Expiry.After(mine.Expiry) {
			merged[key] = entry
		}
	}
	return merged
}
