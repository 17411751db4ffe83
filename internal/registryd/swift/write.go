package swift

import (
	"context"
	"errors"
	"fmt"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// writer writes a file piece by piece. Until it is committed, the file is either a plain
// object with all that was written, as long as that is no more than a segment, or the
// manifest of a dynamic large object; the latter is there before its first segment, so
// that another writer can go on after a crash with all segments that arrived.
type writer struct {
	driver *driver
	// ctx outlives the request that the writer was made for: what a client has sent
	// before its connection broke is kept.
	ctx  context.Context
	path string
	name string

	// plain is the size of the plain object that is there, 0 if it is a manifest or not
	// there at all.
	plain int64
	// segments is the prefix of segments, "" while there is no manifest; there are those
	// that Swift has.
	segments string
	there    []segment

	buffer  *buffer
	size    int64
	pending chan sent // the segment that is under way, nil if none is
	err     error     // of a segment that could not be sent
	ended   error     // why nothing more can be written
}

// sent is what became of a segment.
type sent struct {
	segment segment
	err     error
}

var (
	errClosed    = errors.New("already closed")
	errCommitted = errors.New("already committed")
	errCancelled = errors.New("already cancelled")
)

// Writer begins a file, or goes on with one that was not committed or is empty.
func (d *driver) Writer(ctx context.Context, path string, append bool) (storagedriver.FileWriter, error) {
	w := &writer{
		driver: d, ctx: context.WithoutCancel(ctx), path: path, name: d.layout.file(path), buffer: newBuffer(),
	}
	if append {
		if err := w.resume(ctx); err != nil {
			return nil, d.failed("write on to", path, err)
		}
	}
	return w, nil
}

func (w *writer) resume(ctx context.Context) error {
	object, err := w.driver.store.head(ctx, w.name)
	switch {
	case err != nil:
		return err
	case object.isStatic(), object.headers[sizeMeta] != "":
		return errCommitted
	case !object.isDynamic():
		w.plain, w.size = object.size, object.size
		return nil
	}
	w.segments = object.segments()
	w.there, err = w.driver.store.segments(ctx, w.segments)
	for _, s := range w.there {
		w.size += s.Size
	}
	return err
}

// Write takes all of p, and sends it on by segments.
func (w *writer) Write(p []byte) (int, error) {
	if w.ended != nil {
		return 0, w.failed("write", w.ended)
	}
	written := 0
	for {
		n := w.buffer.write(p[written:], w.driver.chunkSize)
		written += n
		w.size += int64(n)
		if written == len(p) {
			return written, nil
		}
		if err := w.send(); err != nil {
			return written, w.failed("write", err)
		}
	}
}

// Size is the number of bytes written, those of earlier writers included.
func (w *writer) Size() int64 { return w.size }

// Close keeps what was written for another writer to go on with.
func (w *writer) Close() error {
	if w.ended == errClosed {
		return w.failed("close", errClosed)
	}
	ended := w.ended
	w.ended = errClosed
	if ended != nil {
		return nil
	}
	return w.failed("write", w.keep())
}

func (w *writer) keep() error {
	defer w.buffer.free()
	// Without the segment that is under way it would seem that there is none.
	if err := w.wait(); err != nil {
		return err
	}
	switch {
	case w.buffer.size == 0 && w.plain == 0 && len(w.there) == 0:
		return w.manifest()
	case w.buffer.size == 0:
		return nil
	case w.plain == 0 && len(w.there) == 0:
		return w.whole(w.ctx)
	}
	return errors.Join(w.send(), w.wait())
}

// Cancel removes what was written.
func (w *writer) Cancel(ctx context.Context) error {
	if w.ended != nil {
		return w.failed("cancel", w.ended)
	}
	w.ended = errCancelled
	_ = w.wait()
	w.buffer.free()
	err := w.driver.Delete(ctx, w.path)
	if errors.As(err, &storagedriver.PathNotFoundError{}) {
		return nil
	}
	return err
}

// Commit makes the file readable as a whole.
func (w *writer) Commit(ctx context.Context) error {
	if w.ended != nil {
		return w.failed("commit", w.ended)
	}
	if err := w.commit(ctx); err != nil {
		return w.failed("commit", err)
	}
	w.ended = errCommitted
	return nil
}

func (w *writer) commit(ctx context.Context) error {
	if err := w.wait(); err != nil {
		return err
	}
	switch {
	case len(w.there) == 0 && w.plain == 0:
		err := w.whole(ctx)
		if err == nil {
			w.buffer.free() // or else Close tries again to keep it
		}
		return err
	case len(w.there) == 0 && w.buffer.size == 0:
		return nil
	}
	if w.buffer.size > 0 {
		if err := errors.Join(w.send(), w.wait()); err != nil {
			return err
		}
	}
	return w.driver.store.finish(ctx, w.driver.layout, w.name, w.segments, w.there)
}

// whole makes the file a plain object of what is in the buffer.
func (w *writer) whole(ctx context.Context) error {
	_, err := w.driver.store.put(ctx, w.name, w.buffer.body(), nil)
	return err
}

// manifest makes the file a manifest, if it is not one yet. What was a plain object
// becomes the first segment.
func (w *writer) manifest() error {
	if w.segments != "" {
		return nil
	}
	store, segments := w.driver.store, w.driver.layout.newSegments()
	var there []segment
	if w.plain > 0 {
		first := numbered(segments, 1)
		if err := store.copy(w.ctx, w.name, first); err != nil {
			return err
		}
		there = []segment{{Name: first, Size: w.plain}}
	}
	if err := store.putDynamic(w.ctx, w.name, segments, nil); err != nil {
		return err
	}
	w.segments, w.there, w.plain = segments, there, 0
	return nil
}

// send sends the buffer on as the next segment, while a new buffer fills. One segment is
// under way at a time, which bounds the memory of an upload to two.
func (w *writer) send() error {
	if err := w.wait(); err != nil {
		return err
	}
	if err := w.manifest(); err != nil {
		return err
	}
	full := w.buffer
	next := segment{Name: numbered(w.segments, w.next()), Size: int64(full.size)}
	pending := make(chan sent, 1)
	w.buffer, w.pending = newBuffer(), pending
	go func() {
		defer full.free()
		var err error
		next.ETag, err = w.driver.store.put(w.ctx, next.Name, full.body(), nil)
		pending <- sent{next, err}
	}()
	return nil
}

// next is the number of the next segment.
func (w *writer) next() int {
	if len(w.there) == 0 {
		return 1
	}
	return w.there[len(w.there)-1].number() + 1
}

// wait waits for the segment that is under way. Nothing can follow one that failed.
func (w *writer) wait() error {
	if w.pending == nil {
		return w.err
	}
	last := <-w.pending
	w.pending, w.err = nil, last.err
	if last.err == nil {
		w.there = append(w.there, last.segment)
	}
	return w.err
}

func (w *writer) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return storagedriver.Error{DriverName: name, Detail: fmt.Errorf("cannot %s %s: %w", what, w.path, err)}
}
