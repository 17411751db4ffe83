package host

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/desired"
)

var registryUser = desired.Identity{UID: 65532, GID: 65532}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("changing owners needs root")
	}
}

// blobs fills a directory with the tree of a registry: blobs in their own directories.
func blobs(t testing.TB, dir string, count int) (entries int) {
	t.Helper()
	made := map[string]bool{}
	for i := range count {
		blob := filepath.Join(dir, "docker/registry/v2/blobs/sha256", fmt.Sprintf("%02x/%064x", i%256, i))
		if err := os.MkdirAll(blob, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(blob, "data"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		made[filepath.Dir(blob)] = true
	}
	// docker/registry/v2/blobs/sha256 are five, and dir itself is one.
	return 2*count + len(made) + 6
}

// budget ends after a number of questions, as a deadline would after some time.
type budget struct {
	context.Context
	left int
}

func (b *budget) Err() error {
	if b.left--; b.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

func owners(t *testing.T, dir string) map[desired.Identity]int {
	t.Helper()
	found := map[desired.Identity]int{}
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			found[ownerOf(info)]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTakeOver(t *testing.T) {
	needRoot(t)
	layout := desired.Layout{Root: t.TempDir()}
	entries := blobs(t, layout.Data(), 10_000)
	calls, seen := 0, 0
	for {
		data := NewData(layout, layout.Data(), registryUser)
		if foreign, err := data.Foreign(); err != nil || !foreign {
			t.Fatalf("foreign: %v, %v after %d calls", foreign, err, calls)
		}
		progress, err := data.TakeOver(&budget{Context: t.Context(), left: 3000})
		if err != nil {
			t.Fatal(err)
		}
		calls++
		if progress.Files <= seen {
			t.Fatalf("call %d got from %d to %d files", calls, seen, progress.Files)
		}
		seen = progress.Files
		if progress.Done {
			break
		}
	}
	if want := map[desired.Identity]int{registryUser: entries}; cmp.Diff(want, owners(t, layout.Data())) != "" {
		t.Errorf("owners %v, want %v", owners(t, layout.Data()), want)
	}
	if seen != entries || calls < entries/3000 {
		t.Errorf("%d files in %d calls, want %d", seen, calls, entries)
	}
	data := NewData(layout, layout.Data(), registryUser)
	if foreign, err := data.Foreign(); err != nil || foreign {
		t.Errorf("still foreign: %v, %v", foreign, err)
	}
	if progress, err := data.TakeOver(&budget{left: 0}); err != nil || !progress.Done {
		t.Errorf("a call too many: %+v, %v", progress, err)
	}
	if _, err := os.Stat(data.cursor); err == nil {
		t.Error("the cursor is left")
	}
}

// TestTakeOverWhileServing removes and makes files between two calls.
func TestTakeOverWhileServing(t *testing.T) {
	needRoot(t)
	layout := desired.Layout{Root: t.TempDir()}
	blobs(t, layout.Data(), 1000)
	sha := filepath.Join(layout.Data(), "docker/registry/v2/blobs/sha256")
	data := NewData(layout, layout.Data(), registryUser)
	if _, err := data.TakeOver(&budget{Context: t.Context(), left: 1000}); err != nil {
		t.Fatal(err)
	}
	var at cursor
	if err := readJSON(data.cursor, &at); err != nil || at.After == "" {
		t.Fatalf("cursor %+v, %v", at, err)
	}
	// The directory that the cursor is in goes away whole, and so does a later one.
	for _, gone := range []string{filepath.Join(layout.Data(), filepath.Dir(at.After)), sha + "/ff"} {
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{sha + "/00/new", sha + "/zz"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(name, registryUser.UID, registryUser.GID); err != nil {
			t.Fatal(err)
		}
	}
	if progress, err := data.TakeOver(t.Context()); err != nil || !progress.Done {
		t.Fatalf("%+v, %v", progress, err)
	}
	if found := owners(t, layout.Data()); len(found) != 1 || found[registryUser] == 0 {
		t.Errorf("owners %v", found)
	}
}

func TestTakeOverLinks(t *testing.T) {
	needRoot(t)
	outside := t.TempDir()
	put(t, outside+"/shadow", "secret", 0o600)
	layout := desired.Layout{Root: t.TempDir()}
	if err := os.MkdirAll(filepath.Dir(layout.Data()), 0o755); err != nil {
		t.Fatal(err)
	}
	disk := t.TempDir()
	put(t, disk+"/a/blob", "b", 0o600)
	// The data directory itself may be a link: that is the operator's choice.
	for link, target := range map[string]string{layout.Data(): disk, disk + "/dir": outside, disk + "/file": outside + "/shadow"} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	if progress, err := NewData(layout, layout.Data(), registryUser).TakeOver(t.Context()); err != nil || progress.Files != 5 {
		t.Fatalf("%+v, %v", progress, err)
	}
	if found := owners(t, outside); found[registryUser] != 0 {
		t.Errorf("owners outside: %v", found)
	}
	if found := owners(t, disk); found[registryUser] != 5 {
		t.Errorf("owners inside: %v", found)
	}
}

func TestPrepare(t *testing.T) {
	needRoot(t)
	layout := desired.Layout{Root: t.TempDir()}
	data := NewData(layout, layout.Data(), registryUser)
	for range 2 {
		if err := Prepare(layout, registryUser); err != nil {
			t.Fatal(err)
		}
		if err := data.Prepare(); err != nil {
			t.Fatal(err)
		}
	}
	if foreign, err := data.Foreign(); foreign || err != nil {
		t.Errorf("new directory is foreign: %v, %v", foreign, err)
	}
	for path, want := range map[string]fs.FileMode{layout.State(): 0o711, layout.Sockets(): 0o700, layout.Data(): 0o750} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		user := registryUser
		if path == layout.State() {
			user = owner()
		}
		if info.Mode().Perm() != want || ownerOf(info) != user {
			t.Errorf("%s: %v, %v", path, info.Mode(), ownerOf(info))
		}
	}
	// Files of somebody else are not lightly taken.
	if err := os.Chown(layout.Data(), 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := data.Prepare(); err != nil {
		t.Fatal(err)
	}
	if foreign, err := data.Foreign(); !foreign || err != nil {
		t.Errorf("root's directory is not foreign: %v, %v", foreign, err)
	}
}

func TestPrepareInTheWay(t *testing.T) {
	layout := desired.Layout{Root: t.TempDir()}
	put(t, layout.State(), "", 0o600)
	err := Prepare(layout, owner())
	want := `cannot make directory "` + layout.State() + `": a file is in the way`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// BenchmarkTakeOver tells how much a hook gets done in its 20 seconds.
func BenchmarkTakeOver(b *testing.B) {
	needRoot(b)
	layout := desired.Layout{Root: b.TempDir()}
	entries := blobs(b, layout.Data(), 50_000)
	users := []desired.Identity{registryUser, {UID: 65531, GID: 65531}}
	for i := 0; b.Loop(); i++ {
		if _, err := NewData(layout, layout.Data(), users[i%2]).TakeOver(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(entries*b.N)/b.Elapsed().Seconds(), "files/s")
}
