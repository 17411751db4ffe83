package registryd

import (
	"context"
	"net/http"
	"sync"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// An unkept is why bytes that a request has sent were not kept. A driver may hold them back until its
// writer is closed, and distribution closes it when it has made the answer and does not look at the error:
// https://github.com/distribution/distribution/blob/v3.1.2/registry/handlers/helpers.go
type unkept struct {
	mu  sync.Mutex
	err error
}

type unkeptKey struct{}

func (u *unkept) note(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil {
		u.err = err
	}
}

func (u *unkept) reason() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// acknowledged takes back the answer to a request that begins an upload or goes on with one if what it sent
// was not kept: the client would go on behind bytes that are lost.
func acknowledged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && r.Method != http.MethodPatch {
			next.ServeHTTP(w, r)
			return
		}
		lost := new(unkept)
		answer := &heldAnswer{ResponseWriter: w}
		next.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), unkeptKey{}, lost)))
		if err := lost.reason(); err != nil && answer.status == http.StatusAccepted {
			clear(w.Header())
			_ = errcode.ServeJSON(w, errcode.ErrorCodeUnknown.WithDetail(err.Error())) // a client that is gone needs no answer
			return
		}
		answer.release()
	})
}

// heldAnswer holds the status of an answer back until there is something behind it.
type heldAnswer struct {
	http.ResponseWriter
	status int // held back, if it is not 0
}

// WriteHeader holds back the status of an upload; its answer has no body.
func (a *heldAnswer) WriteHeader(status int) {
	if status == http.StatusAccepted && a.status == 0 {
		a.status = status
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write releases the status.
func (a *heldAnswer) Write(p []byte) (int, error) {
	a.release()
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *heldAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *heldAnswer) release() {
	if a.status != 0 {
		a.ResponseWriter.WriteHeader(a.status)
		a.status = 0
	}
}

// keepingDriver tells the request of an upload what it could not keep.
type keepingDriver struct{ storagedriver.StorageDriver }

// PutContent also keeps the state of an upload's digest, before its writer is closed.
func (d keepingDriver) PutContent(ctx context.Context, path string, content []byte) error {
	err := d.StorageDriver.PutContent(ctx, path, content)
	if lost, ok := ctx.Value(unkeptKey{}).(*unkept); ok && err != nil {
		lost.note(err)
	}
	return err
}

// Writer makes a writer for the request of ctx, if it is of one.
func (d keepingDriver) Writer(ctx context.Context, path string, append bool) (storagedriver.FileWriter, error) {
	writer, err := d.StorageDriver.Writer(ctx, path, append)
	lost, ok := ctx.Value(unkeptKey{}).(*unkept)
	if err != nil || !ok {
		return writer, err
	}
	return &keepingWriter{FileWriter: writer, lost: lost}, nil
}

type keepingWriter struct {
	storagedriver.FileWriter
	lost   *unkept
	closed bool
}

// Close notes why what was written is not kept. distribution may close a writer again, which is an error
// that loses nothing.
func (w *keepingWriter) Close() error {
	err := w.FileWriter.Close()
	if err != nil && !w.closed {
		w.lost.note(err)
	}
	w.closed = true
	return err
}
