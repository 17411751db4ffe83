package host

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"docker-registry-operator/internal/desired"
)

// Progress is how far a takeover is.
type Progress struct {
	// Files counts files and directories that were looked at, by all calls together.
	Files int
	// Done says that all is the user's.
	Done bool
}

// cursor is where a takeover goes on.
type cursor struct {
	Dir  string           `json:"dir"`
	User desired.Identity `json:"user"`
	// After is the last path that was done, relative to Dir.
	After string `json:"after"`
	Files int    `json:"files"`
}

// TakeOver gives everything in the directory to the user, as far as it comes before
// ctx ends, and the next call goes on from there. The directory itself comes last, so
// that its owner tells whether all is done. Meanwhile a registry may write there as
// the user: what it makes is right already, what it removes is not missed. Symbolic
// links are changed, not followed, and no path can lead out of the directory even if
// it changes meanwhile. File systems mounted below are taken over too, because they
// hold images like the rest.
func (d *Data) TakeOver(ctx context.Context) (Progress, error) {
	foreign, err := d.Foreign()
	if err != nil || !foreign {
		return Progress{Done: !foreign}, err
	}
	dir, err := filepath.EvalSymlinks(d.dir)
	if err != nil {
		return Progress{}, failed("read", d.dir, err)
	}
	start := cursor{Dir: dir, User: d.user}
	var saved cursor
	if err := readJSON(d.cursor, &saved); err == nil && saved.Dir == dir && saved.User == d.user {
		// A record that cannot be read costs only time.
		start = saved
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Progress{}, failed("read", dir, err)
	}
	defer root.Close()
	w := walk{ctx: ctx, at: start}
	err = w.dir(root, "", components(start.After))
	switch {
	case errors.Is(err, errPaused):
		return Progress{Files: w.at.Files}, writeJSON(osDisk{}, d.cursor, w.at)
	case err != nil:
		return Progress{Files: w.at.Files}, err
	}
	if err := os.Chown(dir, d.user.UID, d.user.GID); err != nil {
		return Progress{Files: w.at.Files}, failed("change owner of", dir, err)
	}
	return Progress{Files: w.at.Files + 1, Done: true}, failed("remove", d.cursor, osDisk{}.remove(d.cursor))
}

// errPaused ends a walk whose time is over.
var errPaused = errors.New("paused")

// walk goes through a tree in a fixed order: by name, children before their parent.
type walk struct {
	ctx context.Context
	at  cursor
}

// dir does all that is in a directory, named by its path below the top, after the
// entry that done leads to. An empty done means all.
func (w *walk) dir(root *os.Root, name string, done []string) error {
	entries, err := readDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed("read", path.Join(w.at.Dir, name), err)
	}
	for _, entry := range entries {
		var below []string
		if len(done) > 0 {
			order := cmp.Compare(entry.Name(), done[0])
			if order < 0 || order == 0 && len(done) == 1 {
				continue
			}
			if order == 0 {
				below = done[1:]
			}
		}
		if w.ctx.Err() != nil {
			return errPaused
		}
		if err := w.entry(root, name, entry, below); err != nil {
			return err
		}
	}
	return nil
}

// entry does one entry of a directory, and first all that is below it.
func (w *walk) entry(root *os.Root, parent string, entry fs.DirEntry, done []string) error {
	name := path.Join(parent, entry.Name())
	if entry.IsDir() {
		if err := w.descend(root, name, done); err != nil {
			return err
		}
	}
	info, err := root.Lstat(entry.Name())
	if err == nil && ownerOf(info) != w.at.User {
		err = root.Lchown(entry.Name(), w.at.User.UID, w.at.User.GID)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("change owner of", path.Join(w.at.Dir, name), err)
	}
	w.at.After = name
	w.at.Files++
	return nil
}

func (w *walk) descend(root *os.Root, name string, done []string) error {
	if info, err := root.Lstat(path.Base(name)); err != nil || !info.IsDir() {
		// It went away, or is something else by now, which the caller looks at.
		return nil
	}
	child, err := root.OpenRoot(path.Base(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed("read", path.Join(w.at.Dir, name), err)
	}
	defer child.Close()
	return w.dir(child, name, done)
}

// readDir lists a directory by name.
func readDir(root *os.Root) ([]fs.DirEntry, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, err
}

// components are the names in a relative path; none in "".
func components(name string) []string {
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}
