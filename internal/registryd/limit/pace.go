package limit

import (
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// A Pace is how slow a client may be.
type Pace struct {
	// Patience is how long a client may neither send nor take anything.
	Patience time.Duration
	// Rate is how many bytes a second it must send or take if it does so bit by bit.
	Rate int64
}

// Slowest lets a layer of 10 GB pass over the slowest of links, which takes a month at this
// rate, but no request wait for a client for ever.
var Slowest = Pace{Patience: 2 * time.Minute, Rate: 4 << 10}

// finishTime is how long a client may take to receive the last kilobytes of an answer and to
// send the rest of what nobody has read.
const finishTime = 30 * time.Second

// pieceSize is how much is written before the clock is looked at. It must be sent within a
// client's patience.
const pieceSize = 256 << 10

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// Serve breaks off a request whose client is slower than p. Only time in which the server waits
// for the client counts, so storage may be as slow as it is. The writer that next gets can be
// read into from a file without a copy, if the one that it stands for can.
func (p Pace) Serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		answer := &answer{ResponseWriter: w, control: control}
		answer.clock = p.start(func() { _ = control.SetWriteDeadline(longAgo) }) // fails if the client is gone
		body := &body{ReadCloser: r.Body}
		if bodiless(r) {
			body.over = true
		} else {
			body.clock = p.start(func() { _ = control.SetReadDeadline(longAgo) })
			r.Body = body
		}
		next.ServeHTTP(answer, r)
		if r.ProtoMajor > 1 {
			return // a connection of HTTP/2 has limits of its own
		}
		// net/http sets its own deadlines before the next request.
		_ = control.SetWriteDeadline(time.Now().Add(finishTime))
		if !body.over {
			_ = control.SetReadDeadline(time.Now().Add(finishTime))
		}
	})
}

func bodiless(r *http.Request) bool { return r.Body == http.NoBody || r.ContentLength == 0 }

// clock counts the time in which a client keeps the server waiting.
type clock struct {
	pace    Pace
	expired func()
	timer   *time.Timer
	since   time.Time
	left    time.Duration
}

func (p Pace) start(expired func()) clock {
	return clock{pace: p, expired: expired, left: p.Patience}
}

// wait is called before the server waits.
func (c *clock) wait() {
	c.since = time.Now()
	if c.timer == nil {
		c.timer = time.AfterFunc(c.left, c.expired)
		return
	}
	c.timer.Reset(c.left)
}

// went is called when n bytes have passed.
func (c *clock) went(n int64) {
	c.timer.Stop()
	c.left = c.pace.after(c.left, time.Since(c.since), n)
}

// after is how much patience is left of left when n bytes took so long.
func (p Pace) after(left, took time.Duration, n int64) time.Duration {
	seconds := float64(n) / float64(p.Rate) // a duration of so many seconds might overflow
	if seconds >= p.Patience.Seconds() {
		return p.Patience
	}
	return min(p.Patience, left-took+time.Duration(seconds*float64(time.Second)))
}

// body is what a client sends.
type body struct {
	io.ReadCloser
	clock clock
	over  bool
}

// Read reads what the client sends within its patience.
func (b *body) Read(p []byte) (int, error) {
	b.clock.wait()
	n, err := b.ReadCloser.Read(p)
	b.clock.went(int64(n))
	b.over = b.over || err != nil
	return n, err
}

// answer is what a client takes.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	clock   clock
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Write sends p within the client's patience for each piece of it.
func (a *answer) Write(p []byte) (int, error) {
	var written int
	for {
		piece := p[written:min(len(p), written+pieceSize)]
		a.clock.wait()
		n, err := a.ResponseWriter.Write(piece)
		a.clock.went(int64(n))
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// Flush sends what is buffered.
func (a *answer) Flush() { _ = a.FlushError() } // an interface without an error

// FlushError sends what is buffered.
func (a *answer) FlushError() error {
	a.clock.wait()
	defer a.clock.went(0)
	return a.control.Flush()
}

// buffers are for what cannot be sent without a copy.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// writerOnly hides ReadFrom.
type writerOnly struct{ io.Writer }

// ReadFrom sends what src holds. The kernel copies it if src is a file, or a part of one.
func (a *answer) ReadFrom(src io.Reader) (int64, error) {
	if bare, ok := a.ResponseWriter.(io.ReaderFrom); ok {
		switch from := src.(type) {
		case *os.File:
			return a.send(bare, from, nil)
		case *io.LimitedReader:
			if file, ok := from.R.(*os.File); ok {
				return a.send(bare, file, from)
			}
		}
	}
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	return io.CopyBuffer(writerOnly{a}, src, buffer[:])
}

// send sends file piece by piece, to its end or as much of it as part has left.
func (a *answer) send(to io.ReaderFrom, file *os.File, part *io.LimitedReader) (int64, error) {
	var sent int64
	for part == nil || part.N > 0 {
		piece := io.LimitedReader{R: file, N: pieceSize}
		if part != nil {
			piece.N = min(part.N, pieceSize)
		}
		wanted := piece.N
		a.clock.wait()
		n, err := to.ReadFrom(&piece)
		a.clock.went(n)
		sent += n
		if part != nil {
			part.N -= n
		}
		if err != nil || n < wanted {
			return sent, err
		}
	}
	return sent, nil
}
