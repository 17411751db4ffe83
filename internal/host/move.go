package host

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"docker-registry-operator/internal/desired"
)

// moveBudget bounds how long one hook copies images while they are served: 10 GB on a
// common disk, and hooks come every five minutes. lastBudget bounds the copy of what has
// changed since, during which nothing may be pushed.
const (
	moveBudget = 2 * time.Minute
	lastBudget = 5 * time.Minute
)

// fresh is how old a file must be for its time to tell whether it changes again: clocks of
// file systems tick some hundred times a second, those of network file systems slower.
const fresh = 2 * time.Second

// Move copies a directory of images to another place, as far as it comes in a bounded
// time, and the next call goes on. What is there already, of the same size and time, is
// not copied again; every file that is copied is read back and compared. The copy stands
// beside its place until the last call, for which nothing may write any more: that
// removes from it what is gone meanwhile, and gives it its name. What is copied stays
// where it was.
func (m *Machine) Move(ctx context.Context, from, to string, last bool) (desired.Progress, error) {
	budget := moveBudget
	if last {
		budget = lastBudget
	}
	bounded, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	c := &copying{ctx: ctx, bounded: bounded, user: m.user, last: last, log: m.log}
	return c.move(from, to)
}

// incomplete is where a copy stands until it is whole.
func incomplete(to string) string { return to + ".incomplete" }

// copying is one pass over a directory of images.
type copying struct {
	// bounded ends the pass between two files, ctx also within one.
	ctx, bounded context.Context
	from, to     *os.Root
	user         desired.Identity
	last         bool
	files        int
	log          *slog.Logger
}

func (c *copying) move(from, to string) (desired.Progress, error) {
	if HasRepositories(to) {
		return desired.Progress{}, &PathError{Op: "move images to", Path: to, Err: errors.New("there are others already")}
	}
	if err := c.open(from, incomplete(to)); err != nil {
		return desired.Progress{}, err
	}
	defer c.from.Close()
	defer c.to.Close()
	err := c.dir(".")
	if synced := c.sync(); err == nil {
		err = synced
	}
	switch {
	case errors.Is(err, errPaused):
		return desired.Progress{Files: c.files}, nil
	case err != nil:
		return desired.Progress{Files: c.files}, err
	case !c.last:
		return desired.Progress{Files: c.files, Done: true}, nil
	}
	if err := os.Rename(incomplete(to), to); err != nil {
		return desired.Progress{}, failed("move images to", to, err)
	}
	return desired.Progress{Files: c.files, Done: true}, failed("move images to", to, osDisk{}.settle(filepath.Dir(to)))
}

// open opens both directories. No path can lead out of them, even if the registry's user
// puts a symbolic link there: the charm, which copies, may read all of the machine.
func (c *copying) open(from, to string) error {
	source, err := filepath.EvalSymlinks(from)
	if err != nil {
		return failed("read", from, err)
	}
	if err := os.Mkdir(to, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return failed("make directory", to, err)
	}
	if c.from, err = os.OpenRoot(source); err != nil {
		return failed("read", source, err)
	}
	if c.to, err = os.OpenRoot(to); err != nil {
		return failed("write", to, errors.Join(err, c.from.Close()))
	}
	return nil
}

// dir copies all that is in a directory, which it makes.
func (c *copying) dir(name string) error {
	info, err := c.from.Lstat(name)
	if err == nil && name != "." {
		err = c.mkdir(name)
	}
	if err == nil {
		err = c.give(name, info.Mode().Perm())
	}
	if err != nil {
		return c.failed("copy", name, err)
	}
	entries, err := c.list(c.from, name)
	if err != nil {
		return c.failed("read", name, err)
	}
	for _, entry := range entries {
		if c.bounded.Err() != nil {
			return errPaused
		}
		below := path.Join(name, entry.Name())
		switch {
		case entry.IsDir():
			err = c.dir(below)
		case entry.Type().IsRegular():
			err = c.failed("copy", below, c.file(below))
			c.files++
		default:
			err = c.failed("copy", below, errors.New("it is neither a file nor a directory; put what it stands for in its place"))
		}
		// What is removed meanwhile need not be copied.
		if err != nil && (c.last || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if !c.last {
		return nil
	}
	return c.prune(name, entries)
}

// mkdir makes a directory of the copy, in place of whatever else is there.
func (c *copying) mkdir(name string) error {
	if info, err := c.to.Lstat(name); err == nil && !info.IsDir() {
		if err := c.to.Remove(name); err != nil {
			return err
		}
	}
	if err := c.to.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// give gives what was copied to the registry's user.
func (c *copying) give(name string, mode fs.FileMode) error {
	info, err := c.to.Lstat(name)
	if err != nil {
		return err
	}
	if ownerOf(info) != c.user {
		if err := c.to.Lchown(name, c.user.UID, c.user.GID); err != nil {
			return err
		}
	}
	if info.Mode().Perm() == mode {
		return nil
	}
	return c.to.Chmod(name, mode)
}

// prune removes from the copy of a directory what the directory does not have.
func (c *copying) prune(name string, entries []fs.DirEntry) error {
	copied, err := c.list(c.to, name)
	if err != nil {
		return c.failed("read the copy of", name, err)
	}
	for _, entry := range copied {
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == entry.Name() }) {
			continue
		}
		below := path.Join(name, entry.Name())
		if err := c.to.RemoveAll(below); err != nil {
			return c.failed("remove the copy of", below, err)
		}
	}
	return nil
}

func (c *copying) list(root *os.Root, name string) ([]fs.DirEntry, error) {
	dir, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return readDir(dir)
}

func (c *copying) failed(op, name string, err error) error {
	return failed(op, path.Join(c.from.Name(), name), err)
}

// sync has the names of what was copied on the disk.
func (c *copying) sync() error {
	top, err := c.to.Open(".")
	if err != nil {
		return failed("write", c.to.Name(), err)
	}
	defer top.Close()
	if err := unix.Syncfs(int(top.Fd())); err != nil {
		return failed("write", c.to.Name(), err)
	}
	return nil
}
