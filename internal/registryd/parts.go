package registryd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/distribution/distribution/v3/configuration"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// s3Name is the name that distribution's driver of S3 gives itself.
const s3Name = "s3aws"

const (
	// defaultPart is how large the driver's parts are unless it is told, in bytes.
	defaultPart = 10 << 20
	// pieces is in how many pieces a part is written. It is a power of two.
	pieces = 16
)

// partDriver has the driver of S3 take no more memory for an upload than a part. The driver keeps a part in
// a buffer that doubles as it grows, from the size of the first piece that is written: with pieces as they
// come from the network it ends at up to two parts, and leaves half of that behind.
type partDriver struct {
	storagedriver.StorageDriver
	buffers *sync.Pool // of *bufio.Writer
}

func newPartDriver(driver storagedriver.StorageDriver, parameters configuration.Parameters) partDriver {
	part, err := strconv.Atoi(fmt.Sprint(parameters["chunksize"]))
	if err != nil {
		part = defaultPart
	}
	piece := (part + pieces - 1) / pieces
	return partDriver{driver, &sync.Pool{New: func() any { return bufio.NewWriterSize(nil, piece) }}}
}

// Writer makes a writer that writes in pieces.
func (d partDriver) Writer(ctx context.Context, path string, append bool) (storagedriver.FileWriter, error) {
	writer, err := d.StorageDriver.Writer(ctx, path, append)
	if err != nil {
		return nil, err
	}
	buffer := d.buffers.Get().(*bufio.Writer)
	buffer.Reset(writer)
	return &partWriter{FileWriter: writer, buffer: buffer, buffers: d.buffers}, nil
}

type partWriter struct {
	storagedriver.FileWriter
	buffer  *bufio.Writer // nil when the writer is closed
	buffers *sync.Pool
}

// Write writes once there is a piece.
func (w *partWriter) Write(p []byte) (int, error) {
	if w.buffer == nil {
		return w.FileWriter.Write(p)
	}
	return w.buffer.Write(p)
}

// Commit writes what is left before.
func (w *partWriter) Commit(ctx context.Context) error {
	if w.buffer != nil {
		if err := w.buffer.Flush(); err != nil {
			return err
		}
	}
	return w.FileWriter.Commit(ctx)
}

// Cancel drops what is left.
func (w *partWriter) Cancel(ctx context.Context) error {
	if w.buffer != nil {
		w.buffer.Reset(w.FileWriter)
	}
	return w.FileWriter.Cancel(ctx)
}

// Close writes what is left before, and gives the buffer back.
func (w *partWriter) Close() error {
	if w.buffer == nil {
		return w.FileWriter.Close()
	}
	err := w.buffer.Flush()
	w.buffer.Reset(io.Discard)
	w.buffers.Put(w.buffer)
	w.buffer = nil
	return errors.Join(err, w.FileWriter.Close())
}
