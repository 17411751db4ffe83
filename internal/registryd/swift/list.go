package swift

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/ncw/swift/v2"
)

// pageSize is how many entries Swift lists at once unless it is set up otherwise.
const pageSize = 10000

// query is what a listing shows: names that begin with prefix and come after marker, at
// most limit of them at a time, and with a delimiter those below a "/" as one.
type query struct {
	prefix, marker string
	delimiter      rune
	limit          int
}

// page is a part of a listing, in the order of names.
func (s *store) page(ctx context.Context, q query) ([]swift.Object, error) {
	return retry(ctx, s.patience, func() ([]swift.Object, error) {
		listed, err := s.conn.Objects(ctx, s.container, &swift.ObjectsOpts{
			Prefix: q.prefix, Marker: q.marker, Delimiter: q.delimiter, Limit: q.limit,
		})
		if errors.Is(err, swift.ContainerNotFound) {
			return nil, errMissing
		}
		return listed, asRefused(err)
	})
}

// errCircle says that a service shows what it has shown before.
var errCircle = errors.New("the listing does not end")

// fewest is how many entries a part of a listing has at least unless it is the last: a
// service may show less at once than it was asked for.
const fewest = 100

// list is a whole listing, however long. Objects that were written a moment ago are in it,
// if only by their names.
func (s *store) list(ctx context.Context, q query) ([]swift.Object, error) {
	var all []swift.Object
	if q.limit == 0 {
		q.limit = pageSize
	}
	for {
		listed, err := s.page(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, listed...)
		if len(listed) < fewest {
			return s.withFresh(ctx, all, q), nil
		}
		last := listed[len(listed)-1].Name
		if last <= q.marker {
			return nil, errCircle
		}
		q.marker = last
	}
}

// withFresh adds what was written a moment ago, is not listed yet, and still exists.
func (s *store) withFresh(ctx context.Context, listed []swift.Object, q query) []swift.Object {
	known := map[string]bool{}
	for _, o := range listed {
		known[o.Name] = true
	}
	for _, name := range s.fresh.under(q.prefix) {
		entry := q.entry(name)
		if known[entry.Name] {
			continue
		}
		if _, err := s.once(ctx, request{method: http.MethodHead, object: name}); errors.Is(err, errUnsettled) {
			s.fresh.remove(name)
			continue
		}
		known[entry.Name] = true
		listed = append(listed, entry)
	}
	return listed
}

// entry is how an object shows in the listing.
func (q query) entry(name string) swift.Object {
	if q.delimiter != 0 {
		below, _, deeper := strings.Cut(strings.TrimPrefix(name, q.prefix), string(q.delimiter))
		if deeper {
			return swift.Object{Name: q.prefix + below + string(q.delimiter), PseudoDirectory: true}
		}
	}
	return swift.Object{Name: name}
}

// List are the paths of the files and directories directly below path.
func (d *driver) List(ctx context.Context, path string) ([]string, error) {
	children, err := d.children(ctx, path)
	if err != nil {
		return nil, d.failed("list", path, err)
	}
	return slices.Sorted(maps.Keys(children)), nil
}

// children are the entries of a directory by their paths.
func (d *driver) children(ctx context.Context, path string) (map[string]swift.Object, error) {
	listed, err := d.store.list(ctx, query{prefix: d.layout.file(path) + "/", delimiter: '/'})
	if err != nil {
		return nil, err
	}
	if len(listed) == 0 && path != "/" {
		return nil, errMissing
	}
	children := map[string]swift.Object{}
	for _, o := range listed {
		// A name may be of a file and of a directory; Stat takes it for the file.
		at := d.layout.path(o.Name)
		if known, ok := children[at]; !ok || known.PseudoDirectory {
			children[at] = o
		}
	}
	return children, nil
}

// Walk goes through all below path, a directory before what is in it and by name, at the
// price of one listing a directory.
func (d *driver) Walk(ctx context.Context, path string, f storagedriver.WalkFn, options ...func(*storagedriver.WalkOptions)) error {
	return storagedriver.WalkFallback(ctx, &listedDriver{driver: d}, path, f, options...)
}

// listedDriver answers Stat from the last listing, for a walk.
type listedDriver struct {
	*driver
	listed map[string]swift.Object
}

// List is List of the driver, and remembers what it saw.
func (l *listedDriver) List(ctx context.Context, path string) ([]string, error) {
	children, err := l.children(ctx, path)
	if err != nil {
		return nil, l.failed("list", path, err)
	}
	if l.listed == nil {
		l.listed = map[string]swift.Object{}
	}
	maps.Copy(l.listed, children)
	return slices.Sorted(maps.Keys(children)), nil
}

// Stat asks Swift only for what a listing does not tell: it shows the manifest of a large
// object as empty.
func (l *listedDriver) Stat(ctx context.Context, path string) (storagedriver.FileInfo, error) {
	entry, ok := l.listed[path]
	delete(l.listed, path)
	if !ok || (!entry.PseudoDirectory && entry.Bytes == 0) {
		return l.driver.Stat(ctx, path)
	}
	return storagedriver.FileInfoInternal{FileInfoFields: storagedriver.FileInfoFields{
		Path: path, IsDir: entry.PseudoDirectory, Size: entry.Bytes, ModTime: entry.LastModified,
	}}, nil
}
