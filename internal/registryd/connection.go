package registryd

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"docker-registry-operator/internal/registryd/tlsconf"
)

// transport is how a connection is spoken to.
type transport struct {
	tls *tlsconf.Setup // nil for plain HTTP
	h2c bool
}

// connection is what is known of a connection of a client.
type connection struct {
	since time.Time
	// surplus connections are told to come again.
	surplus bool
	// began says that there was a request.
	began atomic.Bool
	// verified is the last setup by which the client's certificate was checked.
	verified atomic.Pointer[tlsconf.Setup]
}

type connectionKey struct{}

func connectionOf(ctx context.Context) *connection {
	return ctx.Value(connectionKey{}).(*connection)
}

// take serves a connection that was accepted, unless there are far too many.
func (f *front) take(conn net.Conn) {
	how := f.transport()
	if how.tls != nil {
		conn = tls.Server(conn, how.tls.Config)
	}
	if !f.add(conn, how) {
		if missed, due := f.refused.Due(time.Now()); due {
			f.log.Warn("connections closed unheard", "bound", f.bounds.Connections+f.bounds.Overflow, "before", missed)
		}
		_ = conn.Close() // nobody has used it
		return
	}
	in := f.plainIn
	if how.h2c {
		in = f.h2cIn
	}
	if !in.put(conn) {
		f.remove(conn)
	}
}

func (f *front) add(conn net.Conn, how transport) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.conns) >= f.bounds.Connections+f.bounds.Overflow {
		return false
	}
	c := &connection{since: time.Now(), surplus: len(f.conns) >= f.bounds.Connections}
	c.verified.Store(how.tls)
	f.conns[conn] = c
	return true
}

func (f *front) remove(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
}

func (f *front) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

// note forgets connections that are closed.
func (f *front) note(conn net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		f.remove(conn)
	}
}

// introduce makes a connection known to its requests.
func (f *front) introduce(ctx context.Context, conn net.Conn) context.Context {
	f.mu.Lock()
	defer f.mu.Unlock()
	return context.WithValue(ctx, connectionKey{}, f.conns[conn])
}
