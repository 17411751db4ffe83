package operator

import (
	"context"

	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/reconcile"
)

// imagesRecord is where the registry keeps its images, and what it left elsewhere.
const imagesRecord = "images"

type imagesRecorded struct {
	// Place is that of the configuration whose digest is Config, the last one served.
	Place  desired.Place  `json:"place"`
	Config string         `json:"config"`
	Left   []desired.Left `json:"left,omitempty"`
}

// leave records what stays behind before the registry of state serves, because only the
// one that still serves can say what another storage holds.
func (o *Operator) leave(ctx context.Context, runtime reconcile.Runtime, state desired.State) error {
	kept, err := o.images()
	if err != nil || kept.Place == state.Place {
		return err
	}
	if kept.Place == "" {
		// A unit without a record: images may be here from a former one.
		kept.Place = desired.Place(o.Layout.Data())
		if kept.Place == state.Place || !o.Host.HasRepositories(string(kept.Place)) {
			return nil
		}
	}
	var count desired.Count
	if kept.Place.Dir() {
		count = o.Host.Repositories(string(kept.Place))
	} else {
		count = runtime.Repositories(ctx, o.Unit.Name(), kept.Config)
	}
	kept.Left = desired.Leave(kept.Left, kept.Place, count, state.Place)
	return o.record(imagesRecord, kept)
}

// settle records that the registry of state serves, and returns what is left elsewhere. A
// directory whose images were removed is forgotten.
func (o *Operator) settle(state desired.State) ([]desired.Left, error) {
	kept, err := o.images()
	if err != nil {
		return nil, err
	}
	var left []desired.Left
	for _, l := range kept.Left {
		if l.Place == state.Place || l.Place.Dir() && o.emptied(string(l.Place)) {
			continue
		}
		left = append(left, l)
	}
	kept = imagesRecorded{Place: state.Place, Config: state.Workload.Config, Left: left}
	return left, o.record(imagesRecord, kept)
}

// emptied says that a directory has no images any more; one on a disk that is not mounted
// may have some.
func (o *Operator) emptied(dir string) bool { return o.Host.IsDir(dir) && !o.Host.HasRepositories(dir) }

// images is what leave and settle have recorded.
func (o *Operator) images() (imagesRecorded, error) {
	kept, err := recorded[imagesRecorded](o.Host, imagesRecord)
	if err != nil || kept == nil {
		return imagesRecorded{}, err
	}
	return *kept, nil
}

// ForgetStorage has the status tell no more of images in storage that the registry
// served from before, and has the registry go on without those in Juju's storage that is
// detached. They are left alone.
func (o *Operator) ForgetStorage(ctx context.Context) error {
	storage, err := o.storage(ctx)
	if err != nil {
		return err
	}
	if !storage.holds() {
		storage.Images = desired.Storage{}
	}
	if err := o.record(storageRecord, storage); err != nil {
		return err
	}
	kept, err := o.images()
	if err != nil {
		return err
	}
	kept.Left = nil
	if err := o.record(imagesRecord, kept); err != nil {
		return err
	}
	return o.Converge(ctx)
}
