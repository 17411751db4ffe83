package operator

import (
	"context"
	"fmt"
	"time"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// storageName is Juju's storage for images, as in metadata.yaml.
const storageName = "registry-data"

// storageRecord is what the unit knows of it.
const storageRecord = "storage"

type storageRecorded struct {
	// Attached is what is attached now.
	Attached desired.Storage `json:"attached,omitzero"`
	// Images is the storage that holds the unit's images, zero if the unit's own
	// directory does.
	Images desired.Storage `json:"images,omitzero"`
}

// holds says that the images are in the storage that is attached.
func (s storageRecorded) holds() bool { return s.Images.ID != "" && s.Images.ID == s.Attached.ID }

// shelf is where a hook finds the unit's images.
type shelf struct {
	// dir is the directory in Juju's storage that has them, "" if the unit's own has.
	dir string
	// target is where in the storage they are to be moved, "" if they stay.
	target string
	// note tells what the operator has to do about it.
	note string
	// missing is why the registry must not serve from the machine: the images are not
	// there. It would look empty to clients, and what they push would be missed later.
	missing error
}

// shelve finds where the images are. A registry that holds storage which is taken away
// ends here, whatever the options say.
func (o *Operator) shelve(ctx context.Context) (shelf, error) {
	kept, err := o.storage(ctx)
	if err != nil {
		return shelf{}, err
	}
	switch {
	case kept.Images.ID == "":
		return o.choose(kept)
	case kept.holds() && o.Host.IsDir(kept.Attached.Images()):
		return shelf{dir: kept.Attached.Images()}, nil
	case kept.holds():
		return shelf{missing: &blocked{fmt.Sprintf("the images are in storage %s, but %s is not there; mount it, the next hook goes on",
			kept.Images.ID, kept.Attached.Images())}}, nil
	}
	served, err := o.images()
	if err == nil && served.Place == desired.Place(kept.Images.Images()) {
		err = o.removeRegistry(ctx)
	}
	return shelf{missing: &blocked{fmt.Sprintf("the images are in storage %[1]s, which is detached; attach it with 'juju attach-storage %[2]s %[1]s', or run action forget-storage to go on without them",
		kept.Images.ID, o.Unit.Name())}}, err
}

// choose decides for a unit that has its images in its own directory, or none yet.
func (o *Operator) choose(kept storageRecorded) (shelf, error) {
	if kept.Attached.ID == "" {
		return shelf{}, nil
	}
	dir := kept.Attached.Images()
	switch own := o.Host.HasRepositories(o.Layout.Data()); {
	case own && o.Host.HasRepositories(dir):
		return shelf{note: fmt.Sprintf("Storage %s is not used: there are images in %s and in %s; remove those that you do not need.",
			kept.Attached.ID, dir, o.Layout.Data())}, nil
	case own:
		return shelf{target: dir}, nil
	}
	if err := o.Host.PrepareData(dir); err != nil {
		return shelf{}, err
	}
	kept.Images = kept.Attached
	return shelf{dir: dir}, o.record(storageRecord, kept)
}

// storage is what the unit knows of its storage, with what the hook tells.
func (o *Operator) storage(ctx context.Context) (storageRecorded, error) {
	found, err := recorded[storageRecorded](o.Host, storageRecord)
	if err != nil {
		return storageRecorded{}, err
	}
	var kept storageRecorded
	if found != nil {
		kept = *found
	}
	now, known, err := o.Unit.Storage(ctx, storageName)
	if err != nil || !known || now == kept.Attached {
		return kept, err
	}
	kept.Attached = now
	return kept, o.record(storageRecord, kept)
}

// closeTimeout bounds how long pushes that are under way are waited for while no other is
// taken. Those that take longer have the move put off to the next hook.
const closeTimeout = time.Minute

// move goes on with moving images to Juju's storage. They are served meanwhile, and for
// the last part of it, which copies what has changed since the first, nothing may be
// pushed: what the registry has stored by then is all there is.
func (o *Operator) move(ctx context.Context, conf config.Config, done applied) (applied, error) {
	from, to := o.Layout.Data(), done.shelf.target
	progress, err := o.Host.Move(ctx, from, to, false)
	if err != nil {
		return done.noting("Images are not moved to %s: %v.", to, err), ctx.Err()
	}
	if !progress.Done {
		return done.noting("Moving images to %s: %d files so far.", to, progress.Files), nil
	}
	closed, err := o.applyClosed(ctx, conf, done.state)
	if err != nil {
		return closed, err
	}
	now, moved := shelf{}, error(nil)
	if !closed.result.Writing {
		if progress, moved = o.Host.Move(ctx, from, to, true); moved == nil && progress.Done {
			if err := o.moved(from); err != nil {
				return closed, err
			}
			now.dir = to
		}
	}
	if done, err = o.apply(ctx, conf, now); err != nil {
		return done, err
	}
	switch {
	case now.dir != "":
		o.Log.Info("images moved", "from", from, "to", to, "files", progress.Files)
		return done, nil
	case moved != nil:
		return done.noting("Images are not moved to %s: %v.", to, moved), ctx.Err()
	}
	return done.noting("Moving images to %s waits until no push is under way.", to), nil
}

// applyClosed has the registry take no pushes, and waits until none is under way. One that
// serves now from elsewhere need not be closed.
func (o *Operator) applyClosed(ctx context.Context, conf config.Config, now desired.State) (applied, error) {
	if now.ServesData() {
		conf.Storage.ReadOnly = true
	}
	closed, err := o.apply(ctx, conf, shelf{})
	for end := o.Now().Add(closeTimeout); err == nil && closed.result.Writing && o.Now().Before(end); {
		select {
		case <-ctx.Done():
			return closed, ctx.Err()
		case <-time.After(time.Second):
		}
		closed, err = o.apply(ctx, conf, shelf{})
	}
	return closed, err
}

// moved records that the images are in the storage that is attached, and that what is in
// from is a copy.
func (o *Operator) moved(from string) error {
	found, err := recorded[storageRecorded](o.Host, storageRecord)
	if err != nil || found == nil {
		return err
	}
	kept, err := o.images()
	if err != nil {
		return err
	}
	for i, l := range kept.Left {
		if l.Place == desired.Place(from) {
			kept.Left[i].Place = desired.Place(found.Attached.Images())
		}
	}
	kept.Left = append(kept.Left, desired.Left{Place: desired.Place(from), Copied: true})
	if err := o.record(imagesRecord, kept); err != nil {
		return err
	}
	found.Images = found.Attached
	return o.record(storageRecord, found)
}

// noting adds a note for the operator.
func (a applied) noting(format string, values ...any) applied {
	a.result.Notes = append(a.result.Notes, fmt.Sprintf(format, values...))
	return a
}
