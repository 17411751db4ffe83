package host

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/desired"
)

// crash is a disk on which every step fails after some.
type crash struct {
	disk
	left *int
	err  error
}

func (c crash) fails() error {
	if *c.left--; *c.left < 0 {
		return c.err
	}
	return nil
}

func (c crash) stage(path string, content []byte, mode os.FileMode, user desired.Identity) error {
	if err := c.fails(); err != nil {
		// Half a file, as a crash would leave it.
		_ = os.WriteFile(staged(path), content[:len(content)/2], 0o600)
		return err
	}
	return c.disk.stage(path, content, mode, user)
}

func (c crash) commit(path string) error {
	return errors.Join(c.fails(), c.then(func() error { return c.disk.commit(path) }))
}
func (c crash) unstage(path string) error {
	return errors.Join(c.fails(), c.then(func() error { return c.disk.unstage(path) }))
}
func (c crash) link(old, new string) error {
	return errors.Join(c.fails(), c.then(func() error { return c.disk.link(old, new) }))
}
func (c crash) rename(old, new string) error {
	return errors.Join(c.fails(), c.then(func() error { return c.disk.rename(old, new) }))
}
func (c crash) remove(path string) error {
	return errors.Join(c.fails(), c.then(func() error { return c.disk.remove(path) }))
}
func (c crash) mkdir(path string, mode os.FileMode) error {
	return errors.Join(c.fails(), c.then(func() error { return c.disk.mkdir(path, mode) }))
}
func (c crash) settle(dir string) error {
	return errors.Join(c.fails(), c.then(func() error { return c.disk.settle(dir) }))
}

// then does a step unless the disk has crashed.
func (c crash) then(step func() error) error {
	if *c.left < 0 {
		return nil
	}
	return step()
}

// TestSyncCrash lets the charm be killed after each of its steps, and asks whether
// the next Sync heals what that left: with the same files, with others, with none.
func TestSyncCrash(t *testing.T) {
	first := map[string]string{"/etc/r/config.yml": "1", "/etc/r/gone": "x", "/tls/old.crt": "blob"}
	second := map[string]string{"/etc/r/config.yml": "2", "/etc/r/sub/new": "n", "/tls/my.key": "ours"}
	third := map[string]string{"/etc/r/config.yml": "3", "/tls/my.key": "newer"}
	fresh := func() string {
		root := t.TempDir()
		put(t, root+"/tls/my.key", "his", 0o644)
		put(t, root+"/tls/old.crt", "his too", 0o644)
		sync(t, newFiles(root), wanted(root, first))
		return root
	}
	trees := map[string][]string{}
	for name, want := range map[string]map[string]string{"same": second, "other": third, "none": nil} {
		root := fresh()
		sync(t, newFiles(root), wanted(root, second))
		sync(t, newFiles(root), wanted(root, want))
		trees[name] = tree(t, root)
	}
	steps := 0
	for ; ; steps++ {
		done := false
		for name, want := range map[string]map[string]string{"same": second, "other": third, "none": nil} {
			root := fresh()
			files, left := newFiles(root), steps
			files.disk = crash{disk: osDisk{}, left: &left, err: errors.New("crashed")}
			_, err := files.Sync(wanted(root, second))
			done = err == nil
			sync(t, newFiles(root), wanted(root, want))
			if diff := cmp.Diff(trees[name], tree(t, root)); diff != "" {
				t.Errorf("crash after %d steps, then %s (-want +got):\n%s", steps, name, diff)
			}
			if files.load(); len(mustLoad(t, root).Files) != len(want) {
				t.Errorf("crash after %d steps, then %s: record %v", steps, name, mustLoad(t, root))
			}
		}
		if done {
			break
		}
	}
	if steps < 15 {
		t.Errorf("only %d steps were tried", steps)
	}
}

func mustLoad(t *testing.T, root string) manifest {
	t.Helper()
	m, err := newFiles(root).load()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSyncFailure lets one step fail and all others work: what was there before has
// to be there again.
func TestSyncFailure(t *testing.T) {
	first := map[string]string{"/etc/r/config.yml": "1", "/etc/r/old/gone": "x", "/tls/old.crt": "blob"}
	second := map[string]string{"/etc/r/config.yml": "2", "/etc/r/sub/new": "n", "/tls/my.key": "ours"}
	for step := 0; ; step++ {
		root := t.TempDir()
		put(t, root+"/tls/my.key", "his", 0o644)
		put(t, root+"/tls/old.crt", "his too", 0o644)
		sync(t, newFiles(root), wanted(root, first))
		before, record := tree(t, root), mustLoad(t, root)
		files := newFiles(root)
		failing := &once{disk: osDisk{}, at: step}
		files.disk = failing
		_, err := files.Sync(wanted(root, second))
		if failing.at >= 0 {
			break
		}
		if err == nil || failing.late {
			// Not a step that matters, or the last record after all was done.
			continue
		}
		if diff := cmp.Diff(before, tree(t, root)); diff != "" {
			t.Errorf("step %d failed with %v (-want +got):\n%s", step, err, diff)
		}
		if after := mustLoad(t, root); !after.equal(record) {
			t.Errorf("step %d failed: record %v, was %v", step, after, record)
		}
	}
}

// once is a disk on which one step fails.
type once struct {
	disk
	at int
	// records counts how often the record was written; late says that the failing
	// step came when the files were done.
	records int
	late    bool
}

func (o *once) fail(path string) error {
	if o.at--; o.at != -1 {
		return nil
	}
	o.late = strings.HasSuffix(path, "files.json") && o.records > 0
	return &fs.PathError{Op: "step", Path: path, Err: syscall.EIO}
}

func (o *once) stage(path string, content []byte, mode os.FileMode, user desired.Identity) error {
	if err := o.fail(path); err != nil {
		return err
	}
	return o.disk.stage(path, content, mode, user)
}

func (o *once) commit(path string) error {
	if err := o.fail(path); err != nil {
		return err
	}
	if strings.HasSuffix(path, "files.json") {
		o.records++
	}
	return o.disk.commit(path)
}

func (o *once) link(old, new string) error {
	if err := o.fail(old); err != nil {
		return err
	}
	return o.disk.link(old, new)
}

func (o *once) rename(old, new string) error {
	if err := o.fail(new); err != nil {
		return err
	}
	return o.disk.rename(old, new)
}

func (o *once) mkdir(path string, mode os.FileMode) error {
	if err := o.fail(path); err != nil {
		return err
	}
	return o.disk.mkdir(path, mode)
}

func (o *once) settle(dir string) error {
	if err := o.fail(dir + "/files.json"); err != nil {
		return err
	}
	return o.disk.settle(dir)
}
