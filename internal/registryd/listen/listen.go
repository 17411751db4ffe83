// Package listen opens the sockets of the registry so that two processes can hand one
// over without a client noticing. It accepts no connection by itself; what is served on
// a socket is its caller's.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrInUse means that another process answers on a Unix socket.
var ErrInUse = errors.New("another process listens there")

// Socket is a listening socket.
type Socket struct {
	net.Listener
	addr    string
	unlink  func() error
	control syscall.RawConn
}

// Open listens on addr, a host and port for network "tcp" or "", a path for "unix".
// Ports are opened with SO_REUSEPORT: other processes of the same user may listen there
// too, and the kernel spreads new connections over them.
func Open(ctx context.Context, network, addr string) (*Socket, error) {
	switch network {
	case "", "tcp":
		return openTCP(ctx, addr)
	case "unix":
		return openUnix(ctx, addr, 0)
	default:
		return nil, fmt.Errorf("cannot listen on %q: unknown network %q", addr, network)
	}
}

// OpenPrivate listens on the Unix socket path, which only its owner may connect to.
func OpenPrivate(ctx context.Context, path string) (*Socket, error) {
	return openUnix(ctx, path, 0o600)
}

// Address is where clients connect to, with the port that the kernel chose if
// the socket was opened with port 0.
func (s *Socket) Address() string { return s.addr }

// Close stops listening. Connections that nobody has accepted yet are reset, see Drain.
func (s *Socket) Close() error {
	err := s.Listener.Close()
	if s.unlink != nil {
		err = errors.Join(err, s.unlink())
	}
	return err
}

func openTCP(ctx context.Context, addr string) (*Socket, error) {
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		return onDescriptor(conn, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
	}}
	config.SetMultipathTCP(false) // it knows no SO_ATTACH_REUSEPORT_CBPF, see Yield
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", addr, err)
	}
	control, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot listen on %q: %w", addr, err), listener.Close())
	}
	return &Socket{Listener: listener, addr: listener.Addr().String(), control: control}, nil
}

// openUnix binds a temporary name and renames it, so that the socket never exists with
// another mode, and a stale one of a killed process is replaced at once.
func openUnix(ctx context.Context, path string, mode os.FileMode) (*Socket, error) {
	if err := checkStale(ctx, path); err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", path, err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".sock")
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", path, err)
	}
	defer func() { _ = os.Remove(dir) }() // ours and empty; nothing depends on it
	temp := filepath.Join(dir, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", path, err)
	}
	listener.SetUnlinkOnClose(false)
	socket, err := publish(listener, temp, path, mode)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot listen on %q: %w", path, err), os.Remove(temp), listener.Close())
	}
	return socket, nil
}

func publish(listener *net.UnixListener, temp, path string, mode os.FileMode) (*Socket, error) {
	if mode != 0 {
		if err := os.Chmod(temp, mode); err != nil {
			return nil, err
		}
	}
	own, err := os.Lstat(temp)
	if err != nil {
		return nil, err
	}
	control, err := listener.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := os.Rename(temp, path); err != nil {
		return nil, err
	}
	unlink := func() error { return removeSame(path, own) }
	return &Socket{Listener: listener, addr: path, unlink: unlink, control: control}, nil
}

// removeSame removes path unless another process has put its own socket there.
func removeSame(path string, own os.FileInfo) error {
	now, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(own, now) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(path)
}

func checkStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("exists and is not a socket")
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err == nil {
		err = errors.Join(ErrInUse, conn.Close())
	}
	return err
}

func onDescriptor(conn syscall.RawConn, do func(fd int) error) error {
	var err error
	if controlErr := conn.Control(func(fd uintptr) { err = do(int(fd)) }); controlErr != nil {
		return controlErr
	}
	return err
}
