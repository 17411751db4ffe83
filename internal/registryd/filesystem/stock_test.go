package filesystem

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/manifest/ocischema"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	stock "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/distribution/reference"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// stockDriver is distribution's own.
func stockDriver(root string) storagedriver.StorageDriver {
	return stock.New(stock.DriverParameters{RootDirectory: root, MaxThreads: defaultThreads})
}

func repository(t *testing.T, driver storagedriver.StorageDriver) distribution.Repository {
	t.Helper()
	namespace, err := storage.NewRegistry(t.Context(), driver, storage.EnableDelete)
	check(t, err)
	name, err := reference.WithName("team/app")
	check(t, err)
	repository, err := namespace.Repository(t.Context(), name)
	check(t, err)
	return repository
}

// pushImage pushes an image of one blob, and a second tag that it deletes again.
func pushImage(t *testing.T, driver storagedriver.StorageDriver) {
	t.Helper()
	ctx, r := t.Context(), repository(t, driver)
	writer, err := r.Blobs(ctx).Create(ctx)
	check(t, err)
	_, err = writer.Write([]byte("content"))
	check(t, err)
	blob, err := writer.Commit(ctx, v1.Descriptor{Digest: digest.FromString("content")})
	check(t, err)
	manifest, err := ocischema.FromStruct(ocischema.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: blob,
	})
	check(t, err)
	manifests, err := r.Manifests(ctx)
	check(t, err)
	dgst, err := manifests.Put(ctx, manifest)
	check(t, err)
	for _, tag := range []string{"v1", "v2"} {
		check(t, r.Tags(ctx).Tag(ctx, tag, v1.Descriptor{Digest: dgst}))
	}
	check(t, r.Tags(ctx).Untag(ctx, "v2"))
}

// tree is what is below a directory: paths with modes and contents.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	check(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		var content []byte
		if info.Mode().IsRegular() {
			content, err = os.ReadFile(path)
		}
		found[strings.TrimPrefix(path, root)] = fmt.Sprintf("%s %s", info.Mode(), content)
		return err
	}))
	delete(found, "")
	return found
}

// TestLayout pushes the same with this driver and with distribution's: what is on the disk must be the same.
func TestLayout(t *testing.T) {
	ours, theirs := t.TempDir(), t.TempDir()
	pushImage(t, newDriver(newDirectory(ours), defaultThreads))
	pushImage(t, stockDriver(theirs))
	if diff := cmp.Diff(tree(t, theirs), tree(t, ours)); diff != "" {
		t.Error(diff)
	}
}

// TestBeside begins an upload with one driver and ends it with the other, in both ways.
func TestBeside(t *testing.T) {
	root := t.TempDir()
	ours, theirs := newDriver(newDirectory(root), defaultThreads), stockDriver(root)
	for name, way := range map[string][2]storagedriver.StorageDriver{"to distribution": {ours, theirs}, "back": {theirs, ours}} {
		ctx := t.Context()
		begun, err := repository(t, way[0]).Blobs(ctx).Create(ctx)
		check(t, err)
		_, err = begun.Write([]byte(name))
		check(t, err)
		check(t, begun.Close())
		r := repository(t, way[1])
		resumed, err := r.Blobs(ctx).Resume(ctx, begun.ID())
		check(t, err)
		_, err = resumed.Write([]byte(" ended"))
		check(t, err)
		want := name + " ended"
		blob, err := resumed.Commit(ctx, v1.Descriptor{Digest: digest.FromString(want)})
		check(t, err)
		for _, driver := range way {
			if got, err := repository(t, driver).Blobs(ctx).Get(ctx, blob.Digest); err != nil || string(got) != want {
				t.Errorf("%s: the blob has %q, %v", name, got, err)
			}
		}
	}
}
