package operator

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"docker-registry-operator/internal/desired"
)

// The storage of the tests, and where its images are.
const (
	storageID = "registry-data/0"
	stored    = "/srv/registry-data/registry"
)

// hook has the unit's storage attached or detached, and converges.
func (w world) hook(t *testing.T, storage desired.Storage) desired.Status {
	t.Helper()
	w.unit.storage = &storage
	status := w.converge(t)
	w.unit.storage = nil
	return status
}

func (w world) attach(t *testing.T) desired.Status {
	t.Helper()
	return w.hook(t, desired.Storage{ID: storageID, Location: "/srv/registry-data"})
}

func (w world) detach(t *testing.T) desired.Status {
	t.Helper()
	return w.hook(t, desired.Storage{})
}

// mounts are the directories of the registry that was started last.
func (w world) mounts() []string {
	var paths []string
	for _, m := range w.docker.workloads[len(w.docker.workloads)-1].Mounts {
		paths = append(paths, m.Path)
	}
	return paths
}

// wantImagesIn wants the registry to have its images in a directory and no other.
func (w world) wantImagesIn(t *testing.T, dir string) {
	t.Helper()
	config := string(w.machine.files["/etc/docker/registry/config.yml"])
	if !strings.Contains(config, "rootdirectory: "+dir+"\n") {
		t.Errorf("images are not in %s:\n%s", dir, config)
	}
	for _, other := range []string{"/srv/registry", stored} {
		if has := slices.Contains(w.mounts(), other); has != (other == dir) {
			t.Errorf("images are to be in %s, mounts are %v", dir, w.mounts())
		}
	}
}

func TestStorageFromTheBeginning(t *testing.T) {
	w := fresh(t)
	if got := w.attach(t).Message; got != ready {
		t.Errorf("status %q", got)
	}
	w.wantImagesIn(t, stored)
	w.unit.did, w.machine.did = nil, nil
	w.wantMessage(t, ready)
	if len(w.unit.did)+len(w.machine.did) > 0 || len(w.docker.workloads) != 1 {
		t.Errorf("the second time: %v %v", w.unit.did, w.machine.did)
	}
}

// withImages is a unit that has served images from its own directory.
func withImages(t *testing.T) world {
	t.Helper()
	w := fresh(t)
	w.machine.repositories = map[string]int{"/srv/registry": 4}
	w.converge(t)
	return w
}

func TestStorageTakesImages(t *testing.T) {
	w := withImages(t)
	if got, want := w.attach(t).Message, ready+" Moving images to "+stored+": 1 files so far."; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	w.wantImagesIn(t, "/srv/registry")
	w.machine.did = nil
	w.wantMessage(t, ready+" A copy of all images from before they were moved stays in /srv/registry; remove /srv/registry/docker if you do not need it.")
	w.wantImagesIn(t, stored)
	if config := string(w.machine.files["/etc/docker/registry/config.yml"]); strings.Contains(config, "readonly:\n      enabled: true") {
		t.Errorf("the registry stays read-only:\n%s", config)
	}
	// Between the two copies the registry takes no pushes.
	const config = "write /etc/docker/registry/config.yml"
	steps := slices.DeleteFunc(w.machine.did, func(what string) bool { return what != config && !strings.HasPrefix(what, "move") })
	if want := []string{"move false", config, "move true", config}; !slices.Equal(steps, want) {
		t.Errorf("done %v, want %v", steps, want)
	}
	w.machine.repositories["/srv/registry"] = 0
	w.wantMessage(t, ready)
}

// TestStorageWaitsForPushes lets none get lost that was begun before the registry was closed.
func TestStorageWaitsForPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := withImages(t)
		w.Now = time.Now
		w.attach(t)
		w.docker.writing = 1000
		w.wantMessage(t, ready+" Moving images to "+stored+" waits until no push is under way.")
		w.wantImagesIn(t, "/srv/registry")
		w.docker.writing = 5
		w.converge(t)
		w.wantImagesIn(t, stored)
	})
}

func TestStorageThatTakesNoImages(t *testing.T) {
	w := withImages(t)
	w.machine.unmoved = errors.New("cannot copy: no space left on device")
	w.attach(t)
	w.wantMessage(t, ready+" Images are not moved to "+stored+": cannot copy: no space left on device.")
	w.wantImagesIn(t, "/srv/registry")
	// It may go again before all is there.
	w.detach(t)
	w.wantMessage(t, ready)
	w.wantImagesIn(t, "/srv/registry")
}

func TestStorageWithImagesOfItsOwn(t *testing.T) {
	w := withImages(t)
	w.machine.repositories[stored] = 2
	w.attach(t)
	w.wantMessage(t, ready+" Storage registry-data/0 is not used: there are images in "+stored+" and in /srv/registry; remove those that you do not need.")
	w.wantImagesIn(t, "/srv/registry")
	w.machine.repositories["/srv/registry"] = 0
	w.wantMessage(t, ready)
	w.wantImagesIn(t, stored)
}

func TestStorageDetached(t *testing.T) {
	w := fresh(t)
	w.attach(t)
	w.machine.repositories = map[string]int{stored: 3}
	want := desired.Status{Level: desired.Blocked, Message: "the images are in storage registry-data/0, which is detached; " +
		"attach it with 'juju attach-storage docker-registry/0 registry-data/0', or run action forget-storage to go on without them"}
	if got := w.detach(t); got != want || len(w.docker.removed) == 0 {
		t.Errorf("status %v, want %v; removed %v", got, want, w.docker.removed)
	}
	w.machine.dirs[stored] = false
	served := len(w.docker.workloads)
	if got := w.converge(t); got != want || len(w.docker.workloads) != served {
		t.Errorf("at the next hook: status %v, workloads %v", got, w.docker.workloads[served:])
	}
	w.machine.dirs[stored] = true
	if got := w.attach(t).Message; got != ready {
		t.Errorf("attached again: %q", got)
	}
	w.wantImagesIn(t, stored)
}

// TestStorageOfAnotherName is no substitute for the one with the images.
func TestStorageOfAnotherName(t *testing.T) {
	w := fresh(t)
	w.attach(t)
	w.detach(t)
	if got := w.hook(t, desired.Storage{ID: "registry-data/7", Location: "/srv/other"}); got.Level != desired.Blocked {
		t.Errorf("status %v", got)
	}
}

func TestStorageNotMounted(t *testing.T) {
	w := fresh(t)
	w.attach(t)
	w.machine.dirs[stored] = false
	want := "the images are in storage registry-data/0, but " + stored + " is not there; mount it, the next hook goes on"
	if got := w.converge(t); got.Level != desired.Blocked || got.Message != want || w.machine.dirs[stored] {
		t.Errorf("status %v, want %q", got, want)
	}
}

// TestStorageForgotten goes on without the images of a storage, because an operator says so.
func TestStorageForgotten(t *testing.T) {
	w := fresh(t)
	w.attach(t)
	if err := w.ForgetStorage(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantImagesIn(t, stored)
	w.detach(t)
	w.machine.dirs[stored] = false
	if err := w.ForgetStorage(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(w.unit.status.Message, ready) {
		t.Errorf("status %v", w.unit.status)
	}
	w.wantImagesIn(t, "/srv/registry")
}

// TestStorageDetachedUnderS3 does not concern a registry that has its images elsewhere,
// but the operator is told of those that are in the storage.
func TestStorageDetachedUnderS3(t *testing.T) {
	w := fresh(t)
	w.attach(t)
	w.machine.repositories = map[string]int{stored: 3}
	w.detach(t)
	w.machine.dirs[stored] = false
	w.toS3("images")
	w.wantMessage(t, ready+" Images may stay in "+stored+".")
	w.toS3("")
	if got := w.converge(t); got.Level != desired.Blocked {
		t.Errorf("status %v", got)
	}
}

// TestStorageDetachedWithABadOption lets go of the storage all the same.
func TestStorageDetachedWithABadOption(t *testing.T) {
	w := fresh(t)
	w.attach(t)
	w.unit.options["registry-port"] = int64(99999)
	if got := w.detach(t); got.Level != desired.Blocked || len(w.docker.removed) == 0 {
		t.Errorf("status %v, removed %v", got, w.docker.removed)
	}
}

// TestStorageDetachedUnderAnOverlay is about a backend that no option of its own names.
func TestStorageDetachedUnderAnOverlay(t *testing.T) {
	w := fresh(t)
	w.attach(t)
	w.unit.options["registry-config"] = "storage: {gcs: {bucket: images}}"
	w.converge(t)
	if got := w.detach(t); got.Level != desired.Active || len(w.docker.removed) > 0 {
		t.Errorf("status %v, removed %v", got, w.docker.removed)
	}
}

// TestStorageTakesImagesUnderS3 moves what stays on the machine while a bucket is served.
func TestStorageTakesImagesUnderS3(t *testing.T) {
	w := withImages(t)
	w.toS3("images")
	w.wantMessage(t, ready+" 4 repositories stay in /srv/registry.")
	w.attach(t)
	w.wantMessage(t, ready+" 4 repositories stay in "+stored+". A copy of all images from before they were moved stays in /srv/registry; remove /srv/registry/docker if you do not need it.")
	if config := string(w.machine.files["/etc/docker/registry/config.yml"]); slices.Contains(w.machine.did, "move true") && strings.Contains(config, "rootdirectory") {
		t.Errorf("images are not in the bucket:\n%s", config)
	}
	w.toS3("")
	w.converge(t)
	w.wantImagesIn(t, stored)
}
