package upstream

import (
	"context"
	"net/http"
	"strconv"
	"sync"

	"github.com/distribution/distribution/v3/registry/api/errcode"
)

// call is one request of a client.
type call struct {
	upstream *Upstream

	mu     sync.Mutex
	failed *failure
	size   int64 // of the blob, as it was told first; 0 if it was not
}

type callKey struct{}

// set records the outcome of the last request to the upstream: distribution may ask a
// second time in another way.
func (c *call) set(failed *failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = failed
}

func (c *call) failure() *failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// sizeOf is how much distribution will read of the blob in response: as much as it was
// told before it asked for the content, whatever length that has.
func (c *call) sizeOf(r *http.Request, response *http.Response) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method == http.MethodHead {
		c.size = response.ContentLength
		return 0
	}
	if c.size > 0 {
		return c.size
	}
	return response.ContentLength
}

// Serve makes requests that next handles find this upstream. Where distribution cannot
// answer because of it, the client is told what the matter is.
func (u *Upstream) Serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{upstream: u}
		a := &answer{ResponseWriter: w, call: c, head: r.Method == http.MethodHead}
		next.ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
		if a.broken {
			panic(http.ErrAbortHandler)
		}
	})
}

// answer is what a client is sent.
type answer struct {
	http.ResponseWriter
	call *call
	head bool

	started bool
	// settled says that what distribution goes on to write is not for the client.
	settled bool
	// broken says that less was sent than was promised.
	broken  bool
	written int64
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader replaces an error that the upstream has caused. distribution sends errors
// also in the middle of a blob, as if they were a part of it.
func (a *answer) WriteHeader(status int) {
	if a.started {
		if status >= http.StatusBadRequest && !a.settled {
			a.settled, a.broken = true, !a.complete()
		}
		return
	}
	a.started = true
	if status >= http.StatusBadRequest {
		if failed := a.call.failure(); failed != nil {
			a.settled = true
			a.tell(failed)
			return
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

// complete says that everything was sent and only then something failed, such as
// keeping it: that is no matter of the client's.
func (a *answer) complete() bool {
	promised, err := strconv.ParseInt(a.Header().Get("Content-Length"), 10, 64)
	return err == nil && a.written == promised
}

// Write sends p, unless the answer is over.
func (a *answer) Write(p []byte) (int, error) {
	if !a.started {
		a.WriteHeader(http.StatusOK)
	}
	if a.settled {
		return len(p), nil
	}
	n, err := a.ResponseWriter.Write(p)
	a.written += int64(n)
	return n, err
}

func (a *answer) tell(failed *failure) {
	header := a.Header()
	for _, name := range []string{"Content-Length", "Docker-Content-Digest", "Etag"} {
		header.Del(name) // of the content that does not come
	}
	if failed.retryAfter != "" {
		header.Set("Retry-After", failed.retryAfter)
	}
	header.Set("Content-Type", "application/json")
	a.ResponseWriter.WriteHeader(failed.status)
	if a.head {
		return
	}
	body := errcode.Errors{errcode.Error{Code: failed.code, Message: failed.message}}
	text, err := body.MarshalJSON()
	if err == nil {
		_, _ = a.ResponseWriter.Write(text) // a client that went away needs no answer
	}
}
