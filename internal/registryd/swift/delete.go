package swift

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/ncw/swift/v2"
	"golang.org/x/sync/errgroup"
)

// parallel is how many requests of one deletion are under way at a time.
const parallel = 8

// mostDeletes is how many objects are deleted by one request, where the service takes
// more.
const mostDeletes = 1000

// Delete removes a file, or a directory with all below it. A manifest goes before its
// segments: what is half deleted is never served.
func (d *driver) Delete(ctx context.Context, path string) error {
	return d.failed("delete", path, d.deleteAll(ctx, d.layout.file(path)))
}

func (d *driver) deleteAll(ctx context.Context, name string) error {
	below, err := d.store.list(ctx, query{prefix: name + "/"})
	if err != nil {
		return err
	}
	suspects := []string{name}
	names := []string{name}
	for _, o := range below {
		names = append(names, o.Name)
		if mayBeManifest(o) {
			suspects = append(suspects, o.Name)
		}
	}
	segments, found, err := d.owned(ctx, suspects)
	if err != nil {
		return err
	}
	if len(below) == 0 && !found[name] {
		return errMissing
	}
	if err := d.store.removeAll(ctx, names); err != nil {
		return err
	}
	return d.store.removeAll(ctx, segments)
}

// mayBeManifest says that a listed object may have segments: a dynamic large object is
// listed as empty, a static one tells of itself. Services that are older than that list it
// by the size of its manifest, and the registry writes by pieces only what it calls data.
func mayBeManifest(o swift.Object) bool {
	return o.Bytes == 0 || o.ObjectType == swift.StaticLargeObjectType || strings.HasSuffix(o.Name, "/data")
}

// owned are the segments that belong to objects, and which of these exist.
func (d *driver) owned(ctx context.Context, names []string) (segments []string, found map[string]bool, err error) {
	var mu sync.Mutex
	found = map[string]bool{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, name := range names {
		group.Go(func() error {
			there, err := d.store.look(ctx, name)
			if missing(err) {
				return nil
			}
			if err != nil {
				return err
			}
			own, err := d.segmentsOf(ctx, name, there)
			mu.Lock()
			defer mu.Unlock()
			found[name] = true
			segments = append(segments, own...)
			return err
		})
	}
	return segments, found, group.Wait()
}

// segmentsOf are the objects that nothing needs any more once a manifest is gone. Those
// of a static large object that something else has made are nobody's to delete.
func (d *driver) segmentsOf(ctx context.Context, name string, there object) ([]string, error) {
	switch {
	case there.isDynamic() && !there.isOwn() && isUpload(name):
		// Version 2 may have been stopped after it made the blob's manifest and before it
		// removed this one; the segments are the blob's then.
		return nil, nil
	case !there.isDynamic() && !there.isOwn():
		return nil, nil
	}
	if heir := there.headers[movedMeta]; heir != "" {
		taken, err := d.store.look(ctx, heir)
		if err != nil && !missing(err) {
			return nil, err
		}
		if err == nil && (taken.isDynamic() || taken.isStatic()) {
			return nil, nil
		}
	}
	if there.isStatic() {
		return d.staticParts(ctx, name, there.headers[groupsMeta] != "")
	}
	return d.dynamicParts(ctx, there.segments())
}

func (d *driver) dynamicParts(ctx context.Context, prefix string) ([]string, error) {
	listed, err := d.store.list(ctx, query{prefix: prefix + "/"})
	var parts []string
	for _, o := range listed {
		parts = append(parts, o.Name)
	}
	return parts, err
}

// staticParts are the segments of a manifest, and those of the manifests that it is made
// of if it is grouped.
func (d *driver) staticParts(ctx context.Context, name string, grouped bool) ([]string, error) {
	segments, err := d.store.staticSegments(ctx, name)
	var parts []string
	for _, each := range segments {
		parts = append(parts, each.Name)
		if !grouped || err != nil {
			continue
		}
		var below []string
		below, err = d.staticParts(ctx, each.Name, false)
		parts = append(parts, below...)
	}
	return parts, err
}

// removeAll deletes objects; those that do not exist are fine.
func (s *store) removeAll(ctx context.Context, names []string) error {
	has, err := s.capabilities(ctx)
	if err != nil {
		return err
	}
	if len(names) == 1 || has.Bulk == nil {
		return s.removeEach(ctx, names)
	}
	most := mostDeletes
	if has.Bulk.Most > 0 {
		most = min(most, has.Bulk.Most)
	}
	for part := range slices.Chunk(names, most) {
		if err := s.removeBulk(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) removeEach(ctx context.Context, names []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, name := range names {
		group.Go(func() error { return s.remove(ctx, name) })
	}
	return group.Wait()
}

func (s *store) removeBulk(ctx context.Context, names []string) error {
	for _, name := range names {
		s.fresh.remove(name)
	}
	_, err := retry(ctx, s.endurance, func() (swift.BulkDeleteResult, error) {
		result, err := s.conn.BulkDelete(ctx, s.container, names)
		if errors.Is(asRefused(err), refused(http.StatusNotFound)) {
			err = nil // some of them were gone already
		}
		for _, cause := range result.Errors {
			if cause != nil {
				err = cause
			}
		}
		return result, asRefused(err)
	})
	if err != nil {
		return fmt.Errorf("cannot delete %d objects: %w", len(names), err)
	}
	return nil
}
