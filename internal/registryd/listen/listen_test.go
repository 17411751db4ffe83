package listen_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"docker-registry-operator/internal/registryd/listen"
)

// TestHandOver opens connections as fast as it can while one socket yields to another
// and closes. None may be refused or reset.
func TestHandOver(t *testing.T) {
	for range 3 {
		handOver(t)
	}
}

func handOver(t *testing.T) {
	t.Helper()
	old := open(t, "127.0.0.1:0")
	var servers sync.WaitGroup
	servers.Go(func() { greet(old) })
	var clients sync.WaitGroup
	stop := make(chan struct{})
	failures := make(chan error, 1000)
	for range 2 {
		clients.Go(func() { dialUntil(stop, old.Address(), failures) })
	}
	successor := open(t, old.Address())
	servers.Go(func() { greet(successor) })
	if err := old.Yield(); err != nil {
		t.Errorf("Yield: %v", err)
	}
	for range 200 { // both serve for a while
		if err := dial(old.Address()); err != nil {
			failures <- err
		}
	}
	conns, err := old.Drain()
	if err != nil {
		t.Errorf("Drain: %v", err)
	}
	if err := old.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, conn := range conns {
		answer(conn)
	}
	for range 100 {
		if err := dial(old.Address()); err != nil {
			failures <- err
		}
	}
	close(stop)
	clients.Wait()
	if err := successor.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	servers.Wait()
	close(failures)
	for err := range failures {
		t.Errorf("connection lost: %v", err)
	}
}

func dialUntil(stop <-chan struct{}, addr string, failures chan<- error) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if err := dial(addr); err != nil {
			failures <- err
		}
	}
}

func dial(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	buf := make([]byte, 2)
	_, err = conn.Read(buf)
	return errors.Join(err, conn.Close())
}

func greet(socket *listen.Socket) {
	for {
		conn, err := socket.Accept()
		if err != nil {
			return
		}
		answer(conn)
	}
}

func answer(conn net.Conn) {
	_, _ = conn.Write([]byte("ok"))
	_ = conn.Close()
}

// TestYield makes connections while both sockets listen; all must be the successor's.
func TestYield(t *testing.T) {
	old := open(t, "127.0.0.1:0")
	successor := open(t, old.Address())
	if err := old.Yield(); err != nil {
		t.Fatal(err)
	}
	const count = 50
	for range count {
		conn, err := net.Dial("tcp", old.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	for name, test := range map[string]struct {
		socket *listen.Socket
		want   int
	}{"old": {old, 0}, "successor": {successor, count}} {
		conns, err := test.socket.Drain()
		if err != nil || len(conns) != test.want {
			t.Errorf("%s socket got %d connections, want %d (error %v)", name, len(conns), test.want, err)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
}

// TestInterrupt ends an accept that waits, and loses no connection by it.
func TestInterrupt(t *testing.T) {
	socket := open(t, "127.0.0.1:0")
	accepted := make(chan error)
	go func() {
		_, err := socket.Accept()
		accepted <- err
	}()
	if err := socket.Interrupt(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Accept: %v", err)
	}
	conn, err := net.Dial("tcp", socket.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conns, err := socket.Drain()
	if err != nil || len(conns) != 1 {
		t.Errorf("Drain returned %d connections, want 1 (error %v)", len(conns), err)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// TestDrain leaves connections in the kernel's queue; each must come out of it.
func TestDrain(t *testing.T) {
	socket := open(t, "127.0.0.1:0")
	for range 5 {
		conn, err := net.Dial("tcp", socket.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	conns, err := socket.Drain()
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range conns {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(conns) != 5 {
		t.Errorf("Drain returned %d connections, want 5", len(conns))
	}
}

func TestPrivateSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	socket, err := listen.OpenPrivate(t.Context(), path)
	if err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v, %v; want a socket of mode 0600", info.Mode(), err)
	}
	if _, err := listen.OpenPrivate(t.Context(), path); !errors.Is(err, listen.ErrInUse) {
		t.Errorf("second open: %v, want ErrInUse", err)
	}
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestCloseSparesSuccessor replaces the socket file under an open socket.
func TestCloseSparesSuccessor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	socket, err := listen.Open(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("file of another owner: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0") // without SO_REUSEPORT
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, test := range []struct{ name, network, addr, want string }{
		{"network", "sctp", "x", `cannot listen on "x": unknown network "sctp"`},
		{"file", "unix", plain, "exists and is not a socket"},
		{"port", "tcp", busy.Addr().String(), "address already in use"},
		{"no directory", "unix", filepath.Join(plain, "s"), "not a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			socket, err := listen.Open(t.Context(), test.network, test.addr)
			if err == nil {
				t.Fatalf("opened: %v", socket.Close())
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

func open(t *testing.T, addr string) *listen.Socket {
	t.Helper()
	socket, err := listen.Open(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return socket
}
