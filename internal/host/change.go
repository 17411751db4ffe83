package host

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
)

// Change is what [Files.Sync] did: the paths that it wrote and those it removed.
type Change struct {
	Written, Removed []string

	files  *Files
	before manifest
	made   []string // directories, parents first
	gone   []string // directories, children first
	done   []step
}

// Undo puts back what was there before, as far as it can. It is to be used when the
// registry refuses what was written.
func (c *Change) Undo() error {
	if c.files == nil {
		return nil
	}
	var errs []error
	for _, dir := range slices.Backward(c.gone) {
		if err := c.files.disk.mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			errs = append(errs, failed("make directory", dir, err))
		}
	}
	for _, s := range slices.Backward(c.done) {
		if err := c.files.revert(s); err != nil {
			errs = append(errs, failed("put back", s.path, err))
		}
	}
	for _, dir := range slices.Backward(c.made) {
		// What others put there in the meantime keeps it.
		_ = c.files.disk.remove(dir)
	}
	if len(errs) > 0 {
		// The record of during still knows every file.
		return errors.Join(errs...)
	}
	return c.files.save(c.before)
}

// revert undoes one step, whether or not it was done whole.
func (f *Files) revert(s step) error {
	now, err := look(s.path)
	if err != nil {
		return err
	}
	switch {
	case s.displace:
		err = f.disk.rename(s.replaced, s.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		// Renaming a file to another name of its own does nothing: rename(2).
		err = errors.Join(err, f.disk.remove(s.replaced))
	case !s.restore && now.equal(s.there):
		return nil
	case s.restore && now.exists:
		// The step may have failed before it took the copy's name away.
		err = f.disk.link(s.path, s.replaced)
		if err == nil || errors.Is(err, fs.ErrExist) {
			err = f.rewrite(s)
		}
	case !s.there.exists:
		err = f.disk.remove(s.path)
	default:
		err = f.rewrite(s)
	}
	return errors.Join(err, f.disk.settle(filepath.Dir(s.path)))
}

// rewrite writes what was there before.
func (f *Files) rewrite(s step) error {
	if !s.there.exists {
		return f.disk.remove(s.path)
	}
	if !s.there.regular {
		return nil
	}
	if err := f.disk.stage(s.path, s.there.content, s.there.mode, s.there.user); err != nil {
		return errors.Join(err, f.disk.unstage(s.path))
	}
	return f.disk.commit(s.path)
}
