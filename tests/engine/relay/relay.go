// Package relay passes TCP connections on to a server, until it is told to cut or to hold them. It is the
// network between a client and an engine, so that a test can take the network away and leave the engine
// be.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// A Relay takes connections at its address and passes them on. Its methods may be called by several
// goroutines at a time.
type Relay struct {
	address, target string
	copying         sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	held     chan struct{} // closed while data passes
}

// Start listens at address, which may end in :0, and passes on to target. The caller closes it.
func Start(address, target string) (*Relay, error) {
	r := &Relay{address: address, target: target, open: map[net.Conn]bool{}, held: make(chan struct{})}
	close(r.held)
	return r, r.Mend()
}

// Address is where the relay listens, or listened before it was cut.
func (r *Relay) Address() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.address
}

// Cut breaks all connections and refuses new ones.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		_ = r.listener.Close()
		r.listener = nil
	}
	for connection := range r.open {
		_ = connection.Close()
	}
	clear(r.open)
}

// Mend takes connections again after a Cut.
func (r *Relay) Mend() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", r.address)
	if err != nil {
		return fmt.Errorf("cannot start relay to %s: %w", r.target, err)
	}
	r.listener, r.address = listener, listener.Addr().String()
	r.copying.Go(func() { r.accept(listener) })
	return nil
}

// Hold keeps connections open and lets nothing through, as a network does that loses every packet.
func (r *Relay) Hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.held:
		r.held = make(chan struct{})
	default:
	}
}

// Release lets through what Hold kept.
func (r *Relay) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.held:
	default:
		close(r.held)
	}
}

// Close ends the relay.
func (r *Relay) Close() {
	r.Cut()
	r.Release()
	r.copying.Wait()
}

func (r *Relay) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // cut
		}
		r.copying.Go(func() { r.serve(listener, client) })
	}
}

// serve passes one connection on, in both directions.
func (r *Relay) serve(listener net.Listener, client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", r.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if err := r.remember(listener, client, server); err != nil {
		return
	}
	defer r.forget(client, server)
	var both sync.WaitGroup
	both.Go(func() { r.pass(server, client) })
	both.Go(func() { r.pass(client, server) })
	both.Wait()
}

// remember refuses connections of before a cut.
func (r *Relay) remember(listener net.Listener, connections ...net.Conn) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != listener {
		return errors.New("the relay was cut")
	}
	for _, connection := range connections {
		r.open[connection] = true
	}
	return nil
}

func (r *Relay) forget(connections ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, connection := range connections {
		delete(r.open, connection)
	}
}

// pass copies until one side ends, and tells the other side of it.
func (r *Relay) pass(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		r.mu.Lock()
		held := r.held
		r.mu.Unlock()
		<-held
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}
