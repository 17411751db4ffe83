package registryd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"docker-registry-operator/internal/registryd/limit"
	"docker-registry-operator/internal/registryd/listen"
)

const (
	// lingerTime is how long a socket is served on after new connections go to a
	// successor: connections that had begun to open arrive within a round trip.
	lingerTime = time.Second
	// idleGrace is how long idle connections are kept while the server retires, so that
	// a client's next request finds its connection open and is told to open another.
	idleGrace = 5 * time.Second
	// freshGrace is how long a new connection may take to its first request before the end
	// of the server does not wait for it any more. net/http has the same patience.
	freshGrace = 5 * time.Second
)

// front owns the sockets and the connections. How a new connection is spoken to is asked
// when it is accepted, so that no change of it needs a new socket.
type front struct {
	log       *slog.Logger
	transport func() transport
	bounds    limit.Bounds
	crowd     *limit.Crowd
	plain     *http.Server
	h2c       *http.Server
	plainIn   *queue
	h2cIn     *queue
	retiring  atomic.Bool
	refused   limit.Seldom
	accepting sync.WaitGroup
	serving   sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]*connection         // all that were accepted and are open
	loops map[*listen.Socket]chan struct{} // closed when nobody accepts there any more
}

func newFront(log *slog.Logger, choose func() transport, bounds limit.Bounds, handler http.Handler) *front {
	f := &front{
		log: log, transport: choose, bounds: bounds, crowd: limit.NewCrowd(bounds, log),
		plainIn: newQueue(), h2cIn: newQueue(),
		conns: make(map[net.Conn]*connection), loops: make(map[*listen.Socket]chan struct{}),
	}
	cleartext := new(http.Protocols)
	cleartext.SetHTTP1(true)
	cleartext.SetHTTP2(true)
	cleartext.SetUnencryptedHTTP2(true)
	handler = f.parting(limit.Slowest.Serve(f.crowd.Serve(handler)))
	f.plain = f.server(handler, nil)
	f.h2c = f.server(handler, cleartext)
	f.serving.Go(func() { f.run(f.plain, f.plainIn) })
	f.serving.Go(func() { f.run(f.h2c, f.h2cIn) })
	return f
}

func (f *front) server(handler http.Handler, protocols *http.Protocols) *http.Server {
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ConnState:         f.note,
		ConnContext:       f.introduce,
		ReadHeaderTimeout: limit.HeaderTime,
		IdleTimeout:       limit.IdleTime,
		MaxHeaderBytes:    limit.HeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: limit.Streams,
			WriteByteTimeout:     limit.Slowest.Patience,
		},
		ErrorLog: slog.NewLogLogger(f.log.Handler(), slog.LevelInfo),
	}
}

func (f *front) run(server *http.Server, in *queue) {
	if err := server.Serve(in); !errors.Is(err, http.ErrServerClosed) {
		f.log.Error("server ended", "error", err)
	}
}

// parting asks clients to close their connection after the request when the server
// retires, over HTTP/2 too: there the header makes net/http send GOAWAY. It sends away whoever
// came when there were too many connections.
func (f *front) parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connectionOf(r.Context())
		c.began.Store(true)
		if f.retiring.Load() || c.surplus {
			w.Header().Set("Connection", "close")
		}
		if c.surplus && r.URL.Path != "/" {
			f.crowd.Refuse(w, "connections", f.bounds.Connections)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// awaitFirst waits until every connection has had its first request. net/http closes a
// connection without an answer where it reads a request after the shutdown has begun.
func (f *front) awaitFirst(ctx context.Context) {
	waits := func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.conns {
			if !c.began.Load() && time.Since(c.since) < freshGrace {
				return true
			}
		}
		return false
	}
	for waits() && ctx.Err() == nil {
		sleep(ctx, acceptPause)
	}
}

// serve accepts connections on socket until it is left.
func (f *front) serve(socket *listen.Socket) {
	ended := make(chan struct{})
	f.mu.Lock()
	f.loops[socket] = ended
	f.mu.Unlock()
	f.accepting.Go(func() {
		defer close(ended)
		f.accept(socket)
	})
}

func (f *front) accept(socket *listen.Socket) {
	var missed limit.Seldom
	for {
		conn, err := socket.Accept()
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err == nil {
			f.take(conn)
			continue
		}
		// Out of descriptors or a connection that was gone again; both pass.
		if before, due := missed.Due(time.Now()); due {
			f.log.Warn("connection not accepted", "address", socket.Address(), "error", err, "before", before)
		}
		time.Sleep(acceptPause)
	}
}

// acceptPause keeps accept from spinning while the process is out of descriptors.
const acceptPause = 10 * time.Millisecond

// leave closes socket after it has taken in what the kernel had accepted there. Nobody
// may be accepting then: the kernel would go on until he has noticed.
func (f *front) leave(socket *listen.Socket) {
	f.mu.Lock()
	ended, served := f.loops[socket]
	delete(f.loops, socket)
	f.mu.Unlock()
	err := socket.Interrupt()
	if served && err == nil {
		<-ended
	}
	conns, drained := socket.Drain()
	err = errors.Join(err, drained, socket.Close())
	for _, conn := range conns {
		f.take(conn)
	}
	if err != nil {
		f.log.Warn("socket not closed cleanly", "address", socket.Address(), "error", err)
	}
}

// handOver leaves socket to the process that listens there too, if there is one, and
// keeps connections open until their clients had a chance to notice.
func (f *front) handOver(ctx context.Context, socket *listen.Socket) {
	f.retiring.Store(true)
	if err := socket.Yield(); err != nil {
		f.log.Warn("new connections not redirected", "error", err)
	}
	sleep(ctx, lingerTime)
	f.leave(socket)
	for left := idleGrace; left > 0 && f.open() > 0 && ctx.Err() == nil; left -= acceptPause {
		sleep(ctx, acceptPause)
	}
}

// shutdown closes idle connections, waits for running requests until ctx ends, and then
// breaks them off. The sockets must have been left.
func (f *front) shutdown(ctx context.Context) error {
	f.retiring.Store(true)
	f.accepting.Wait()
	f.awaitFirst(ctx)
	err := errors.Join(f.plain.Shutdown(ctx), f.h2c.Shutdown(ctx))
	if err != nil {
		err = errors.Join(err, f.plain.Close(), f.h2c.Close())
	}
	f.serving.Wait()
	return err
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
