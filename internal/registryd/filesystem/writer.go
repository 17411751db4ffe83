package filesystem

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"golang.org/x/sync/errgroup"
)

// pieces is the size in which files are written at least, in bytes. What comes from the network comes in pieces
// of any size; distribution hands on up to 32 KiB, which goes to the file without a copy.
const pieces = 16 << 10

var buffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, pieces) }}

// Writer writes a file in place, from its beginning or its end.
func (d *driver) Writer(_ context.Context, path string, append bool) (storagedriver.FileWriter, error) {
	full, err := d.full(path)
	if err != nil {
		return nil, err
	}
	flag := 0
	if !append {
		flag = os.O_TRUNC
	}
	file, err := d.create(full, flag)
	if err != nil {
		return nil, failed("write", path, err)
	}
	w := &writer{driver: d, path: path, file: file}
	w.upload, w.uploading = uploadOf(path)
	if append {
		w.begin, err = file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return nil, failed("write", path, errors.Join(err, file.Close()))
	}
	w.size = w.begin
	return w, nil
}

// writer has a buffer only while there is something in it: most uploads are opened without a byte being
// written.
type writer struct {
	driver    *driver
	path      string
	file      *os.File
	buffer    *bufio.Writer
	upload    upload
	uploading bool

	begin, size       int64 // of the file when it was opened, and with what was written
	committed, closed bool
}

var (
	errClosed    = errors.New("already closed")
	errCommitted = errors.New("already committed")
)

func (w *writer) usable() error {
	switch {
	case w.closed:
		return errClosed
	case w.committed:
		return errCommitted
	}
	return nil
}

// Write writes at the end.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.usable(); err != nil {
		return 0, err
	}
	if w.buffer == nil {
		w.buffer = buffers.Get().(*bufio.Writer)
		w.buffer.Reset(w.file)
	}
	n, err := w.buffer.Write(p)
	w.size += int64(n)
	return n, failed("write", w.path, err)
}

// Size is that of the file with what was written.
func (w *writer) Size() int64 { return w.size }

// flush gives the buffer back, whether or not its content could be written.
func (w *writer) flush() error {
	if w.buffer == nil {
		return nil
	}
	err := w.buffer.Flush()
	w.release()
	return err
}

func (w *writer) release() {
	if w.buffer != nil {
		w.buffer.Reset(nil)
		buffers.Put(w.buffer)
		w.buffer = nil
	}
}

// Commit has the bytes on the disk, but for those of an upload, which are put there when they are moved to their
// place.
func (w *writer) Commit(context.Context) error {
	if err := w.usable(); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return failed("write", w.path, err)
	}
	if w.uploading {
		w.driver.commits.Store(w.upload.dir, nil)
	} else if err := w.settle(); err != nil {
		return failed("write", w.path, err)
	}
	w.committed = true
	return nil
}

// settle has a file that is no upload on the disk.
func (w *writer) settle() error {
	if err := w.file.Sync(); err != nil {
		return err
	}
	return w.driver.entries.sync(filepath.Dir(w.file.Name()))
}

// Close keeps what was written on the disk, where the upload will go on. If it cannot, none of it is kept, so
// that a client that sends it again sends it from where it began.
func (w *writer) Close() error {
	if w.closed {
		return errClosed
	}
	w.closed = true
	if w.committed {
		w.driver.commits.Delete(w.upload.dir)
		return failed("close", w.path, w.file.Close())
	}
	err := w.flush()
	if err == nil && w.size > w.begin {
		err = w.keep()
	}
	if err != nil {
		err = errors.Join(err, w.file.Truncate(w.begin))
	}
	return failed("write", w.path, errors.Join(err, w.file.Close()))
}

// keep has the bytes on the disk, with what it takes to go on with them.
func (w *writer) keep() error {
	dir := filepath.Dir(w.file.Name())
	var syncs errgroup.Group
	syncs.Go(w.file.Sync)
	syncs.Go(func() error { return w.driver.entries.sync(dir) })
	if w.uploading {
		syncs.Go(func() error { return syncOne(filepath.Join(dir, startedAt)) })
	}
	return syncs.Wait()
}

// Cancel removes the file.
func (w *writer) Cancel(context.Context) error {
	if w.closed {
		return errClosed
	}
	w.closed = true
	w.release()
	w.driver.commits.Delete(w.upload.dir)
	return failed("remove", w.path, errors.Join(w.file.Close(), removeAny(w.file.Name())))
}
