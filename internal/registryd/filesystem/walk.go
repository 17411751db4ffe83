package filesystem

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// Walk calls f for what is below from, as distribution's drivers do: in the order of the parts of paths,
// directories before what they have. It goes straight to what comes after the hint.
func (d *driver) Walk(ctx context.Context, from string, f storagedriver.WalkFn, options ...func(*storagedriver.WalkOptions)) error {
	chosen := storagedriver.WalkOptions{}
	for _, option := range options {
		option(&chosen)
	}
	after, begins := below(from, chosen.StartAfterHint)
	if !begins {
		return nil
	}
	names, err := d.names(from)
	if err != nil {
		return err
	}
	err = d.walkNames(ctx, from, names, after, f)
	if errors.Is(err, storagedriver.ErrFilledBuffer) {
		return nil
	}
	return err
}

// below turns a hint into the parts of a path below from. It says no if all that is below from comes before
// the hint.
func below(from, hint string) ([]string, bool) {
	if hint == "" || hint == from {
		return nil, true
	}
	rest, ok := strings.CutPrefix(path.Clean(hint), strings.TrimSuffix(from, "/")+"/")
	if ok {
		return strings.Split(rest, "/"), true
	}
	return nil, slices.Compare(strings.Split(path.Clean(hint), "/"), strings.Split(from, "/")) < 0
}

// walk is for one directory, which may have been deleted since the one above it was read. after are the
// parts, below it, of what the walk begins after.
func (d *driver) walk(ctx context.Context, dir string, after []string, f storagedriver.WalkFn) error {
	names, err := d.names(dir)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.walkNames(ctx, dir, names, after, f)
}

func (d *driver) walkNames(ctx context.Context, dir string, names, after []string, f storagedriver.WalkFn) error {
	if len(after) > 0 {
		first, found := slices.BinarySearch(names, after[0])
		names = names[first:]
		if found {
			if err := d.resume(ctx, path.Join(dir, names[0]), after[1:], f); err != nil {
				return err
			}
			names = names[1:]
		}
	}
	for _, name := range names {
		if err := d.visit(ctx, path.Join(dir, name), f); err != nil {
			return err
		}
	}
	return nil
}

// names are those in a directory, in order.
func (d *driver) names(dir string) ([]string, error) {
	full, err := d.full(dir)
	if err != nil {
		return nil, err
	}
	names, err := d.listings.of(full)
	return names, failed("list", dir, err)
}

// resume walks what is left of a directory on the way to the hint.
func (d *driver) resume(ctx context.Context, dir string, after []string, f storagedriver.WalkFn) error {
	info, err := d.Stat(ctx, dir)
	if gone(err) || err == nil && !info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	return d.walk(ctx, dir, after, f)
}

func (d *driver) visit(ctx context.Context, child string, f storagedriver.WalkFn) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := d.Stat(ctx, child)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	err = f(info)
	if errors.Is(err, storagedriver.ErrSkipDir) {
		return nil
	}
	if err != nil || !info.IsDir() {
		return err
	}
	return d.walk(ctx, child, nil, f)
}

// gone says that something was deleted since its directory was read.
func gone(err error) bool { return errors.As(err, new(storagedriver.PathNotFoundError)) }
