package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/desired"
)

// tree is a directory as text, one line a file: path, mode, content. Records of the
// charm are left out.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root || strings.Contains(path, "/var/") || path == root+"/var" {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %v", strings.TrimPrefix(path, root), info.Mode())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(content)
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func put(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func newFiles(root string) *Files {
	return NewFiles(desired.Layout{Root: root}, owner())
}

func wanted(root string, contents map[string]string) []desired.File {
	var files []desired.File
	for name, content := range contents {
		files = append(files, desired.File{Path: root + name, Content: []byte(content), Mode: 0o600, Registry: true})
	}
	return files
}

func sync(t *testing.T, files *Files, want []desired.File) *Change {
	t.Helper()
	change, err := files.Sync(want)
	if err != nil {
		t.Fatal(err)
	}
	return change
}

// errWrite fails every step that would change something.
var errWrite = errors.New("the second run changed something")

func TestSync(t *testing.T) {
	const config, key = "/etc/docker/registry/config.yml", "/etc/docker/registry/tls/registry.key"
	for _, test := range []struct {
		name    string
		before  map[string]string // somebody else's
		first   map[string]string // what the charm wrote earlier
		edit    map[string]string // what somebody changed since
		want    map[string]string
		tree    []string
		written int
		removed int
	}{{
		name:    "new",
		want:    map[string]string{config: "a", key: "k"},
		tree:    []string{"/etc drwxr-xr-x", "/etc/docker drwxr-xr-x", "/etc/docker/registry drwxr-xr-x", "/etc/docker/registry/config.yml -rw------- a", "/etc/docker/registry/tls drwxr-xr-x", "/etc/docker/registry/tls/registry.key -rw------- k"},
		written: 2,
	}, {
		name:    "one changed, one removed with its directory",
		first:   map[string]string{config: "a", key: "k"},
		want:    map[string]string{config: "b"},
		tree:    []string{"/etc drwxr-xr-x", "/etc/docker drwxr-xr-x", "/etc/docker/registry drwxr-xr-x", "/etc/docker/registry/config.yml -rw------- b"},
		written: 1, removed: 1,
	}, {
		name:    "all removed",
		first:   map[string]string{config: "a", key: "k"},
		removed: 2,
	}, {
		name:   "somebody else's file stays",
		before: map[string]string{"/etc/docker/daemon.json": "{}"},
		first:  map[string]string{config: "a"},
		tree:   []string{"/etc drwxr-xr-x", "/etc/docker drwxr-xr-x", "/etc/docker/daemon.json -rw-r--r-- {}"}, removed: 1,
	}, {
		name:    "somebody else's file in the way is kept",
		before:  map[string]string{"/tls/my.key": "his"},
		want:    map[string]string{"/tls/my.key": "ours"},
		tree:    []string{"/tls drwxr-xr-x", "/tls/my.key -rw------- ours", "/tls/my.key.orig -rw-r--r-- his"},
		written: 1,
	}, {
		name:    "and kept once only",
		before:  map[string]string{"/tls/my.key": "his"},
		first:   map[string]string{"/tls/my.key": "ours"},
		edit:    map[string]string{"/tls/my.key": "edited"},
		want:    map[string]string{"/tls/my.key": "new"},
		tree:    []string{"/tls drwxr-xr-x", "/tls/my.key -rw------- new", "/tls/my.key.orig -rw-r--r-- his"},
		written: 1,
	}, {
		name:    "beside an older copy",
		before:  map[string]string{"/tls/my.key": "his", "/tls/my.key.orig": "older"},
		want:    map[string]string{"/tls/my.key": "ours"},
		tree:    []string{"/tls drwxr-xr-x", "/tls/my.key -rw------- ours", "/tls/my.key.orig -rw-r--r-- older", "/tls/my.key.orig.1 -rw-r--r-- his"},
		written: 1,
	}, {
		name:    "and put back",
		before:  map[string]string{"/tls/my.key": "his"},
		first:   map[string]string{"/tls/my.key": "ours"},
		tree:    []string{"/tls drwxr-xr-x", "/tls/my.key -rw-r--r-- his"},
		removed: 1,
	}, {
		name:    "an equal file is taken over",
		before:  map[string]string{config: "a"},
		want:    map[string]string{config: "a"},
		tree:    []string{"/etc drwxr-xr-x", "/etc/docker drwxr-xr-x", "/etc/docker/registry drwxr-xr-x", "/etc/docker/registry/config.yml -rw------- a"},
		written: 1,
	}, {
		name:    "an edited file is overwritten",
		first:   map[string]string{config: "a"},
		edit:    map[string]string{config: "edited"},
		want:    map[string]string{config: "a"},
		tree:    []string{"/etc drwxr-xr-x", "/etc/docker drwxr-xr-x", "/etc/docker/registry drwxr-xr-x", "/etc/docker/registry/config.yml -rw------- a"},
		written: 1,
	}, {
		name:  "an edited file that is no longer wanted stays",
		first: map[string]string{config: "a"},
		edit:  map[string]string{config: "edited"},
		tree:  []string{"/etc drwxr-xr-x", "/etc/docker drwxr-xr-x", "/etc/docker/registry drwxr-xr-x", "/etc/docker/registry/config.yml -rw------- edited"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			for name, content := range test.before {
				put(t, root+name, content, 0o644)
			}
			if test.first != nil {
				sync(t, newFiles(root), wanted(root, test.first))
			}
			for name, content := range test.edit {
				put(t, root+name, content, 0o600)
			}
			earlier := tree(t, root)
			change := sync(t, newFiles(root), wanted(root, test.want))
			if diff := cmp.Diff(test.tree, tree(t, root)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
			if len(change.Written) != test.written || len(change.Removed) != test.removed {
				t.Errorf("wrote %q, removed %q", change.Written, change.Removed)
			}
			again := newFiles(root)
			again.disk = crash{disk: osDisk{}, left: new(int), err: errWrite}
			if change := sync(t, again, wanted(root, test.want)); len(change.Written)+len(change.Removed) > 0 {
				t.Errorf("a second time it wrote %q, removed %q", change.Written, change.Removed)
			}
			if err := change.Undo(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(earlier, tree(t, root)); diff != "" {
				t.Errorf("undone tree (-want +got):\n%s", diff)
			}
			sync(t, newFiles(root), wanted(root, test.want))
			if diff := cmp.Diff(test.tree, tree(t, root)); diff != "" {
				t.Errorf("tree after undo and redo (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSyncMendsModeAndOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing owners needs root")
	}
	root := t.TempDir()
	user := desired.Identity{UID: 65532, GID: 65532}
	files := NewFiles(desired.Layout{Root: root}, user)
	want := []desired.File{
		{Path: root + "/etc/key", Content: []byte("k"), Mode: 0o400, Registry: true},
		{Path: root + "/etc/list", Content: []byte("l"), Mode: 0o644},
	}
	check := func() {
		t.Helper()
		for i, path := range []string{want[0].Path, want[1].Path} {
			there, err := look(path)
			if err != nil {
				t.Fatal(err)
			}
			if there.mode != os.FileMode(want[i].Mode) || (there.user == user) != want[i].Registry {
				t.Errorf("%s: mode %v, owner %v", path, there.mode, there.user)
			}
		}
	}
	sync(t, files, want)
	check()
	if err := errors.Join(os.Chmod(want[0].Path, 0o644), os.Chown(want[1].Path, 1, 1)); err != nil {
		t.Fatal(err)
	}
	if change := sync(t, files, want); len(change.Written) != 2 {
		t.Errorf("wrote %q", change.Written)
	}
	check()
}

func TestSyncSymbolicLink(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/live/key", "his", 0o600)
	path := root + "/key"
	if err := os.Symlink(root+"/live/key", path); err != nil {
		t.Fatal(err)
	}
	files := newFiles(root)
	sync(t, files, wanted(root, map[string]string{"/key": "ours"}))
	if content, _ := os.ReadFile(root + "/live/key"); string(content) != "his" {
		t.Errorf("the link was followed: %q", content)
	}
	sync(t, files, nil)
	if target, err := os.Readlink(path); target != root+"/live/key" {
		t.Errorf("link is not back: %q, %v", target, err)
	}
}

func TestSyncErrors(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/file", "x", 0o600)
	if err := os.Mkdir(root+"/dir", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		path string
		want string
	}{
		{name: "a directory is there", path: root + "/dir", want: `cannot write "` + root + `/dir": is a directory`},
		{name: "a parent is a file", path: root + "/file/config.yml", want: `cannot write "` + root + `/file/config.yml": not a directory`},
		{name: "relative", path: "config.yml", want: `cannot write "config.yml": not an absolute, clean path`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := newFiles(root).Sync([]desired.File{{Path: test.path, Mode: 0o600}})
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			var path *PathError
			if !errors.As(err, &path) || path.Path != test.path {
				t.Errorf("%v does not name the path", err)
			}
		})
	}
}

func TestDamagedRecords(t *testing.T) {
	for _, content := range []string{"", "{", "null", "\x00\x00\x00", `{"files": 3}`, `{"files": {}} trailing`} {
		root := t.TempDir()
		path := root + "/var/lib/docker-registry/files.json"
		put(t, path, content, 0o600)
		if _, err := newFiles(root).Sync(wanted(root, map[string]string{"/etc/config.yml": "ours"})); err != nil {
			t.Errorf("record %q: %v", content, err)
			continue
		}
		if kept, err := os.ReadFile(path + damaged); err != nil || string(kept) != content {
			t.Errorf("record %q was not kept: %q, %v", content, kept, err)
		}
		values := records{path: root + "/var/lib/docker-registry/records.json"}
		put(t, values.path, content, 0o600)
		if err := values.set("unit", "registry/0"); err != nil {
			t.Errorf("values %q: %v", content, err)
		}
		if got, err := values.get("unit"); got != "registry/0" || err != nil {
			t.Errorf("values %q: got %q, %v", content, got, err)
		}
	}
}

// small mounts a file system of 64 KiB, or one that is read-only.
func small(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestSyncFullDisk(t *testing.T) {
	root, full := t.TempDir(), small(t, "size=64k")
	files := newFiles(root)
	first := []desired.File{{Path: full + "/a", Content: []byte("a"), Mode: 0o600}}
	sync(t, files, first)
	before := tree(t, full)
	want := []desired.File{
		{Path: full + "/a", Content: []byte("b"), Mode: 0o600},
		{Path: full + "/new/large", Content: make([]byte, 1<<20), Mode: 0o600},
	}
	_, err := files.Sync(want)
	if !errors.Is(err, syscall.ENOSPC) || err.Error() != `cannot write "`+full+`/new/large": no space left on device` {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, tree(t, full)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	want[1].Content = []byte("fits")
	if change := sync(t, files, want); len(change.Written) != 2 {
		t.Errorf("wrote %q", change.Written)
	}
}

func TestSyncReadOnly(t *testing.T) {
	root, mounted := t.TempDir(), small(t, "size=64k")
	if err := syscall.Mount("", mounted, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("cannot remount: %v", err)
	}
	_, err := newFiles(root).Sync([]desired.File{{Path: mounted + "/a", Mode: 0o600}})
	if want := `cannot write "` + mounted + `/a": read-only file system`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestForeign(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/tls/cert", "his", 0o644)
	put(t, root+"/tls/key", "his key", 0o600)
	files := newFiles(root)
	sync(t, files, wanted(root, map[string]string{"/tls/key": "ours", "/tls/ca": "ours"}))
	paths := []string{root + "/tls/cert", root + "/tls/key", root + "/tls/ca", root + "/tls/none"}
	got, err := files.Foreign(paths)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{paths[0]: []byte("his"), paths[1]: []byte("his key")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := os.Symlink("/no/such/file", root+"/nowhere"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		root + "/nowhere": `it is a link to "/no/such/file", where no file is`, root + "/tls": "not a file", "/dev/zero": "not a file", root + "/tls/cert/x": "not a directory",
	} {
		_, err := files.Foreign([]string{path})
		if text := `cannot read "` + path + `": ` + want; err == nil || err.Error() != text {
			t.Errorf("got  %v\nwant %s", err, text)
		}
	}
}
