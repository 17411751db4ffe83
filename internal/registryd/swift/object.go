package swift

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ncw/swift/v2"
)

// Metadata of manifests that this package makes.
const (
	// ownMeta is there if this package made the manifest.
	ownMeta = "X-Object-Meta-Registry-Own"
	// groupsMeta is the number of manifests below a manifest, if there are any.
	groupsMeta = "X-Object-Meta-Registry-Groups"
	// sizeMeta is the size of a finished dynamic large object, in bytes: Swift itself
	// counts only those segments that its listing shows.
	sizeMeta = "X-Object-Meta-Registry-Size"
	// movedMeta is the object that has taken over the segments of a manifest.
	movedMeta = "X-Object-Meta-Registry-Moved-To"
)

// object is what the headers of an object say.
type object struct {
	size     int64
	etag     string
	modified time.Time
	headers  swift.Headers
}

func newObject(headers swift.Headers) (object, error) {
	length := headers["Content-Length"]
	if _, total, ok := strings.Cut(headers["Content-Range"], "/"); ok {
		length = total
	}
	size, err := strconv.ParseUint(length, 10, 63)
	if err != nil {
		return object{}, fmt.Errorf("cannot tell the size of an object: %w", err)
	}
	o := object{size: int64(size), etag: headers["Etag"], headers: headers}
	// Ceph tells no time of a dynamic large object without segments.
	o.modified, _ = http.ParseTime(headers["Last-Modified"])
	return o, nil
}

// complete fails where the listing does not show all segments of a dynamic large object.
func (o object) complete() error {
	if want := o.headers[sizeMeta]; want != "" && want != strconv.FormatInt(o.size, 10) {
		return errIncomplete
	}
	return nil
}

func (o object) isDynamic() bool { return o.headers[dynamicManifest] != "" }

func (o object) isStatic() bool { return strings.EqualFold(o.headers[staticManifest], "true") }

func (o object) isOwn() bool { return o.headers[ownMeta] != "" }

// segments is the prefix of the segments of a dynamic large object.
func (o object) segments() string {
	manifest, err := url.PathUnescape(o.headers[dynamicManifest])
	if err != nil {
		return ""
	}
	_, prefix, _ := strings.Cut(manifest, "/")
	return prefix
}

// metadata are the headers that keep a manifest what it is when its metadata is replaced.
func (o object) metadata() swift.Headers {
	kept := swift.Headers{}
	for _, name := range []string{dynamicManifest, ownMeta, groupsMeta, sizeMeta} {
		if value := o.headers[name]; value != "" {
			kept[name] = value
		}
	}
	return kept
}

// look tells of an object as it is.
func (s *store) look(ctx context.Context, name string) (object, error) {
	told, err := s.repeat(ctx, s.patience, request{method: http.MethodHead, object: name})
	if err != nil {
		return object{}, err
	}
	return newObject(told.headers)
}

// head tells of an object that can be read to its end.
func (s *store) head(ctx context.Context, name string) (object, error) {
	return s.await(ctx, s.patience, name)
}

// await is head with more patience for segments that are not listed yet.
func (s *store) await(ctx context.Context, budget time.Duration, name string) (object, error) {
	return retry(ctx, budget, func() (object, error) {
		o, err := s.look(ctx, name)
		if err != nil {
			return object{}, err
		}
		return o, o.complete()
	})
}

// read is the whole content of a small object.
func (s *store) read(ctx context.Context, name string) ([]byte, error) {
	return about(ctx, s, s.patience, name, func() ([]byte, error) {
		told, err := s.once(ctx, request{method: http.MethodGet, object: name, stream: true})
		if err != nil {
			return nil, err
		}
		defer told.body.Close()
		o, err := newObject(told.headers)
		if err == nil {
			err = o.complete()
		}
		if err != nil {
			return nil, err
		}
		return io.ReadAll(told.body)
	})
}

// put makes or replaces an object, and returns its entity tag.
func (s *store) put(ctx context.Context, name string, content body, headers swift.Headers) (string, error) {
	headers = maps.Clone(headers)
	if headers == nil {
		headers = swift.Headers{}
	}
	headers["Content-Type"] = contentType
	if content.etag != "" {
		headers["Etag"] = content.etag
	}
	told, err := s.repeat(ctx, s.endurance, request{method: http.MethodPut, object: name, headers: headers, body: &content})
	if err != nil {
		return "", unfound(err, s.container)
	}
	s.fresh.add(name)
	return told.headers["Etag"], nil
}

// copy makes an object of what another one holds.
func (s *store) copy(ctx context.Context, from, to string) error {
	destination := (&url.URL{Path: s.container + "/" + to}).EscapedPath()
	_, err := s.repeat(ctx, s.endurance, request{
		method: "COPY", object: from, headers: swift.Headers{"Destination": destination},
	})
	if err == nil {
		s.fresh.add(to)
	}
	return err
}

// annotate replaces the metadata of an object.
func (s *store) annotate(ctx context.Context, name string, headers swift.Headers) error {
	_, err := s.repeat(ctx, s.endurance, request{method: http.MethodPost, object: name, headers: headers})
	return err
}

// remove deletes one object: a manifest, but not its segments. One that does not exist is
// fine.
func (s *store) remove(ctx context.Context, name string) error {
	s.fresh.remove(name)
	_, err := s.repeat(ctx, s.endurance, request{method: http.MethodDelete, object: name})
	if missing(err) {
		return nil
	}
	return err
}

// unfound says what does not exist where an object was to be made.
func unfound(err error, container string) error {
	if missing(err) {
		return fmt.Errorf("container %q does not exist", container)
	}
	return err
}
