package stream

import (
	"context"
	"errors"
	"io"
	"sync"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

var (
	errClosed = errors.New("content is closed")
	errBefore = errors.New("cannot seek to before the begin of content")
)

// content is a blob on storage, of which net/http reads what a client asks for. It opens nothing before the first byte
// is read, and reads no more than that. Where one that is closed is still read, by the goroutine which net/http
// leaves behind after several ranges, it fails.
type content struct {
	ctx    context.Context // of the request
	driver storagedriver.StorageDriver
	path   string
	size   int64 // in bytes, of the descriptor

	mu     sync.Mutex
	offset int64
	object io.ReadCloser // at offset; nil if it is not open
	err    error         // why there is nothing more to read
}

// Read reads on from the offset. An object that is shorter than the blob is an error.
func (c *content) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if c.offset >= c.size {
		return 0, io.EOF
	}
	if c.object == nil {
		object, err := c.driver.Reader(c.ctx, c.path, c.offset)
		if err != nil {
			c.err = err
			return 0, err
		}
		c.object = object
	}
	n, err := c.object.Read(p[:min(int64(len(p)), c.size-c.offset)])
	c.offset += int64(n)
	if c.offset == c.size {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.err = err
	return n, err
}

// Seek sets the offset. The object is opened anew only if that was another.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += c.offset
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return c.offset, errBefore
	}
	if offset != c.offset {
		c.release()
		c.offset = offset
	}
	return offset, nil
}

// failure is why storage has given less than was asked for, nil if it has not.
func (c *content) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *content) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
	c.err = errClosed
}

func (c *content) release() {
	if c.object != nil {
		_ = c.object.Close() // nothing was written
		c.object = nil
	}
}
