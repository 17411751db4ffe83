package swift

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"

	"github.com/ncw/swift/v2"
)

// segment is one segment of a large object; Size is in bytes. ETag is "" where it is not
// known.
type segment struct {
	Name string
	Size int64
	ETag string
}

// number is the place of the segment, counted from 1; distribution version 2 begins at 0
// where it went on from a plain object.
func (s segment) number() int {
	number, _ := strconv.Atoi(path.Base(s.Name))
	return number
}

// mostGaps bounds how many numbers may be left out: something else than a segment, which is there by
// mistake, may have any number.
const mostGaps = 10

// segments are the segments below a prefix, in order. A listing may not show the latest
// yet, so these are asked for one by one.
func (s *store) segments(ctx context.Context, prefix string) ([]segment, error) {
	listed, err := s.list(ctx, query{prefix: prefix + "/"})
	if err != nil {
		return nil, err
	}
	known := map[int]segment{}
	highest, gaps := 0, 0
	for _, o := range listed {
		found := segment{Name: o.Name, Size: o.Bytes, ETag: o.Hash}
		if o.Hash != "" {
			known[found.number()] = found
		}
		highest = max(highest, found.number())
	}
	var all []segment
	if first, ok := known[0]; ok {
		all = append(all, first)
	}
	for number := 1; ; number++ {
		found, ok := known[number]
		if !ok {
			told, err := s.head(ctx, numbered(prefix, number))
			switch {
			case missing(err) && number > highest:
				return all, nil
			case missing(err) && gaps == mostGaps:
				return nil, errIncomplete
			case missing(err):
				gaps++
				continue // version 2 leaves number 1 out after number 0
			case err != nil:
				return nil, err
			}
			found = segment{Name: numbered(prefix, number), Size: told.size, ETag: told.etag}
		}
		all = append(all, found)
	}
}

// putDynamic makes an object that is all objects below a prefix, one after another.
func (s *store) putDynamic(ctx context.Context, name, segments string, further swift.Headers) error {
	headers := swift.Headers{
		dynamicManifest: (&url.URL{Path: s.container + "/" + segments}).EscapedPath(),
		ownMeta:         "true",
	}
	for key, value := range further {
		headers[key] = value
	}
	_, err := s.put(ctx, name, wholeOf(nil), headers)
	return err
}

// finish makes an object of all its segments: a static large object, which Swift serves
// whole or not at all; or a dynamic one that knows its size, where there is no other.
func (s *store) finish(ctx context.Context, l layout, name, segments string, sent []segment) error {
	has, err := s.capabilities(ctx)
	if err != nil {
		return err
	}
	if has.Static != nil {
		return s.finishStatic(ctx, l, name, segments, sent, has.Static.Most)
	}
	size := int64(0)
	for _, each := range sent {
		size += each.Size
	}
	err = s.putDynamic(ctx, name, segments, swift.Headers{sizeMeta: strconv.FormatInt(size, 10)})
	if err != nil {
		return err
	}
	_, err = s.await(ctx, s.endurance, name)
	return err
}

// fewSegments is how many segments a manifest holds in a service that does not tell.
const fewSegments = 1000

func (s *store) finishStatic(ctx context.Context, l layout, name, segments string, sent []segment, most int) error {
	if most <= 0 {
		most = fewSegments
	}
	headers := swift.Headers{ownMeta: "true"}
	if len(sent) > most {
		var groups []segment
		for part := range slices.Chunk(sent, most) {
			group := segment{Name: l.group(segments, len(groups)+1)}
			for _, each := range part {
				group.Size += each.Size
			}
			if err := s.putStatic(ctx, group.Name, part, nil); err != nil {
				return err
			}
			groups = append(groups, group)
		}
		headers[groupsMeta] = strconv.Itoa(len(groups))
		sent = groups
	}
	return s.putStatic(ctx, name, sent, headers)
}

// putStatic makes a static large object. Swift compares what is told of each segment with
// what it has.
func (s *store) putStatic(ctx context.Context, name string, segments []segment, headers swift.Headers) error {
	type entry struct {
		Path string `json:"path"`
		ETag string `json:"etag,omitempty"`
		Size int64  `json:"size_bytes"`
	}
	entries := make([]entry, len(segments))
	for i, each := range segments {
		entries[i] = entry{"/" + s.container + "/" + each.Name, each.ETag, each.Size}
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return fmt.Errorf("cannot write manifest: %w", err)
	}
	content := wholeOf(text)
	content.etag = "" // would be the one of the object, not of the manifest
	complete := swift.Headers{"Content-Type": contentType}
	for key, value := range headers {
		complete[key] = value
	}
	_, err = s.repeat(ctx, s.endurance, request{
		method: http.MethodPut, object: name, headers: complete, body: &content,
		parameters: url.Values{"multipart-manifest": {"put"}},
	})
	if err == nil {
		s.fresh.add(name)
	}
	return unfound(err, s.container)
}

// staticSegments are the entries of the manifest of a static large object.
func (s *store) staticSegments(ctx context.Context, name string) ([]segment, error) {
	return about(ctx, s, s.patience, name, func() ([]segment, error) {
		told, err := s.once(ctx, request{
			method: http.MethodGet, object: name, stream: true,
			parameters: url.Values{"multipart-manifest": {"get"}},
		})
		if err != nil {
			return nil, err
		}
		defer told.body.Close()
		var entries []struct {
			Name  string `json:"name"`
			Hash  string `json:"hash"`
			Bytes int64  `json:"bytes"`
		}
		if err := json.NewDecoder(told.body).Decode(&entries); err != nil {
			return nil, fmt.Errorf("cannot read manifest: %w", err)
		}
		segments := make([]segment, len(entries))
		for i, each := range entries {
			own := each.Name[min(len(each.Name), len(s.container)+2):]
			segments[i] = segment{Name: own, Size: each.Bytes, ETag: each.Hash}
		}
		return segments, nil
	})
}
