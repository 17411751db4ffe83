package swift

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ncw/swift/v2"
)

// breaks is how many connections in a row may bring nothing before a reader gives up.
const breaks = 3

// reader reads an object from an offset on. It asks for the rest where the connection
// breaks.
type reader struct {
	ctx    context.Context // of the request that the reader serves
	store  *store
	name   string
	offset int64
	etag   string
	body   io.ReadCloser
	broken int // connections in a row that brought nothing
}

// newReader fails if the object does not exist or cannot be read to its end.
func newReader(ctx context.Context, s *store, name string, offset int64) (io.ReadCloser, error) {
	r := &reader{ctx: ctx, store: s, name: name, offset: offset}
	err := r.reopen(s.patience)
	if errors.Is(err, refused(http.StatusRequestedRangeNotSatisfiable)) {
		// Nothing comes after that offset, unless segments are missing.
		_, err := s.head(ctx, name)
		return io.NopCloser(bytes.NewReader(nil)), err
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *reader) reopen(budget time.Duration) error {
	headers := swift.Headers{}
	if r.offset > 0 {
		headers["Range"] = fmt.Sprintf("bytes=%d-", r.offset)
	}
	told, err := about(r.ctx, r.store, budget, r.name, func() (answer, error) {
		told, err := r.store.once(r.ctx, request{method: http.MethodGet, object: r.name, stream: true, headers: headers})
		if err != nil {
			return answer{}, err
		}
		o, err := newObject(told.headers)
		if err == nil {
			err = o.complete()
		}
		if err == nil && r.etag != "" && r.etag != o.etag {
			err = errReplaced
		}
		if err != nil {
			told.body.Close()
			return answer{}, err
		}
		r.etag = o.etag
		return told, nil
	})
	r.body = told.body
	return err
}

// Read reads on after a connection has broken. It does not take the end of a connection
// for the end of the object: net/http tells them apart by the length of the answer.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.offset += int64(n)
	if n > 0 {
		r.broken = 0
	}
	if err == nil || err == io.EOF || r.ctx.Err() != nil {
		return n, err
	}
	if r.broken++; r.broken > breaks {
		return n, fmt.Errorf("cannot read on from byte %d: %w", r.offset, err)
	}
	r.body.Close()
	if err := r.reopen(r.store.endurance); err != nil {
		r.body = http.NoBody
		r.broken = breaks
		return n, fmt.Errorf("cannot read on from byte %d: %w", r.offset, err)
	}
	return n, nil
}

// Close ends the connection.
func (r *reader) Close() error { return r.body.Close() }
