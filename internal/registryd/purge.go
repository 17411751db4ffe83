package registryd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// purgePolicy is the section storage.maintenance.uploadpurging.
type purgePolicy struct {
	enabled  bool
	age      time.Duration
	interval time.Duration
	dryRun   bool
}

// parsePurge reads the section with the defaults and the strictness of distribution.
func parsePurge(maintenance configuration.Parameters) (purgePolicy, error) {
	raw, ok := maintenance["uploadpurging"]
	if !ok {
		return purgePolicy{enabled: true, age: 168 * time.Hour, interval: 24 * time.Hour}, nil
	}
	section, ok := raw.(map[any]any)
	if !ok {
		return purgePolicy{}, errors.New("uploadpurging config key must contain additional keys")
	}
	if section["enabled"] == false {
		return purgePolicy{}, nil
	}
	age, err := purgeDuration(section, "age")
	if err != nil {
		return purgePolicy{}, err
	}
	interval, err := purgeDuration(section, "interval")
	if err != nil {
		return purgePolicy{}, err
	}
	dryRun, ok := section["dryrun"].(bool)
	if !ok {
		return purgePolicy{}, errors.New("cannot read uploadpurging: dryrun must be true or false")
	}
	return purgePolicy{enabled: true, age: age, interval: interval, dryRun: dryRun}, nil
}

func purgeDuration(section map[any]any, key string) (time.Duration, error) {
	text, ok := section[key].(string)
	if !ok {
		return 0, fmt.Errorf("cannot read uploadpurging: %s must be a duration", key)
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("cannot read uploadpurging: %s: %w", key, err)
	}
	if key == "interval" && duration <= 0 {
		return 0, fmt.Errorf("cannot read uploadpurging: %s must be positive", key)
	}
	return duration, nil
}

// purge deletes abandoned uploads from time to time until ctx ends. It asks current what
// to do at the start and at each message of changed.
func purge(ctx context.Context, changed <-chan struct{}, current func() (purgePolicy, storagedriver.StorageDriver)) {
	// Registries on one storage that are started together shall not purge together.
	first := time.Now().Add(rand.N(time.Hour))
	var last time.Time
	for {
		policy, driver := current()
		due := first
		if !last.IsZero() {
			due = last.Add(policy.interval)
		}
		var tick <-chan time.Time
		if policy.enabled {
			tick = time.After(time.Until(due))
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick:
			last = time.Now()
			storage.PurgeUploads(ctx, driver, last.Add(-policy.age), !policy.dryRun)
		}
	}
}
