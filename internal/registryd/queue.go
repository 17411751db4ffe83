package registryd

import (
	"net"
	"sync"
)

// queue is a net.Listener that accepts what is put into it.
type queue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newQueue() *queue {
	return &queue{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// put reports whether somebody has taken conn; if not, it is closed.
func (q *queue) put(conn net.Conn) bool {
	select {
	case q.conns <- conn:
		return true
	case <-q.closed:
		_ = conn.Close() // it was never answered, there is nobody to tell
		return false
	}
}

// Accept waits for the next connection.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept fail.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

// Addr has no meaning here; net/http wants one.
func (q *queue) Addr() net.Addr { return &net.UnixAddr{Name: "queue", Net: "unix"} }
