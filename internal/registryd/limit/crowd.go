package limit

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"
)

// retryAfter is when those come again who are sent away, in seconds.
const retryAfter = 5

// Crowd sends requests away while there are as many as its bounds allow. Its methods may be
// called by several goroutines.
type Crowd struct {
	bounds   Bounds
	log      *slog.Logger
	seldom   Seldom
	requests atomic.Int64
	uploads  atomic.Int64
}

// NewCrowd returns a crowd of nobody. It logs that it sends requests away, but not each.
func NewCrowd(bounds Bounds, log *slog.Logger) *Crowd {
	return &Crowd{bounds: bounds, log: log}
}

// Serve hands to next the requests that there is room for. At / they always find an answer,
// because a proxy asks there whether the registry lives.
func (c *Crowd) Serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			next.ServeHTTP(w, r)
			return
		}
		defer c.requests.Add(-1)
		if c.requests.Add(1) > int64(c.bounds.Requests) {
			c.Refuse(w, "requests", c.bounds.Requests)
			return
		}
		if sends(r) {
			defer c.uploads.Add(-1)
			if c.uploads.Add(1) > int64(c.bounds.Uploads) {
				c.Refuse(w, "uploads", c.bounds.Uploads)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func sends(r *http.Request) bool {
	return r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch
}

// Refuse tells a client to come again because there are too many of what.
func (c *Crowd) Refuse(w http.ResponseWriter, what string, bound int) {
	if missed, due := c.seldom.Due(time.Now()); due {
		c.log.Warn("clients sent away", "too many", what, "bound", bound, "before", missed)
	}
	w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	w.Header().Set("Connection", "close")
	busy := errcode.ErrorCodeUnavailable.WithDetail("too many " + what + " at once: try again later")
	_ = errcode.ServeJSON(w, busy) // a client that is gone needs no answer
}

// seldomTime is the least time between two lines of the log on the same matter.
const seldomTime = 10 * time.Second

// Seldom keeps a matter that comes thousands of times a second from filling the log. The zero
// value is ready.
type Seldom struct {
	mu     sync.Mutex
	last   time.Time
	missed int
}

// Due reports whether the matter should be logged now, and how often it was not since it was
// logged last.
func (s *Seldom) Due(now time.Time) (missed int, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.last) < seldomTime {
		s.missed++
		return 0, false
	}
	missed, s.missed, s.last = s.missed, 0, now
	return missed, true
}
