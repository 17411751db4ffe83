package stream

import (
	"io"
	"maps"
	"net/http"
	"sync"
)

// response is an answer that is held back until there is something behind it, so that storage which fails at the
// first byte can be answered with an error.
type response struct {
	http.ResponseWriter
	header http.Header // what will be sent
	status int
	begun  bool // nothing is held back any more
}

func newResponse(w http.ResponseWriter) *response {
	return &response{ResponseWriter: w, header: w.Header().Clone()}
}

// Header is what will be sent.
func (a *response) Header() http.Header { return a.header }

// WriteHeader holds the status back.
func (a *response) WriteHeader(status int) { a.status = status }

// Write sends p.
func (a *response) Write(p []byte) (int, error) {
	a.release()
	return a.ResponseWriter.Write(p)
}

// copyBuffer is the size of the buffer of a blob on its way, in bytes. With less a client of storage takes more time
// than with distribution's 4 MiB; every client that is slow keeps one.
const copyBuffer = 256 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// ReadFrom sends src through a buffer that is used again.
func (a *response) ReadFrom(src io.Reader) (int64, error) {
	buffer := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{a}, src, buffer[:])
}

// release sends what was held back.
func (a *response) release() {
	if a.begun {
		return
	}
	a.begun = true
	clear(a.ResponseWriter.Header())
	maps.Copy(a.ResponseWriter.Header(), a.header)
	a.ResponseWriter.WriteHeader(a.status)
}
