package juju

import (
	"context"
	"errors"
	"strings"

	"docker-registry-operator/internal/desired"
)

// Storage is the instance of a storage that is attached to the unit, zero if none is, as
// far as the running hook knows: one of the storage's own is told by its environment. So
// that one which was skipped is made good, a few others ask, with a call or two more.
func (u *Unit) Storage(ctx context.Context, name string) (storage desired.Storage, known bool, err error) {
	switch strings.TrimPrefix(u.getenv("JUJU_DISPATCH_PATH"), "hooks/") {
	case name + "-storage-attached":
		storage = desired.Storage{ID: u.getenv("JUJU_STORAGE_ID"), Location: u.getenv("JUJU_STORAGE_LOCATION")}
		if storage.ID == "" || storage.Location == "" {
			return storage, false, errors.New("cannot tell what storage is attached: JUJU_STORAGE_ID or JUJU_STORAGE_LOCATION is not set")
		}
		return storage, true, nil
	case name + "-storage-detaching":
		return storage, true, nil
	case "start", "upgrade-charm":
		storage, err = attached(ctx, name)
		return storage, err == nil, err
	}
	return storage, false, nil
}

func attached(ctx context.Context, name string) (desired.Storage, error) {
	ids, err := ask(ctx, decode[[]string], "storage-list", name)
	if err != nil || len(ids) == 0 {
		return desired.Storage{}, err
	}
	location, err := ask(ctx, decode[string], "storage-get", "-s", ids[0], "location")
	return desired.Storage{ID: ids[0], Location: location}, err
}
