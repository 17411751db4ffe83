package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// successorIndex is where the kernel keeps the second socket that listens on a port: it
// numbers them in the order in which they began to listen, and moves the last one into
// the gap when one is closed (socket(7), SO_ATTACH_REUSEPORT_CBPF).
const successorIndex = 1

// Yield makes the kernel give all new connections to the process that began to listen on
// the same port after this one. With no such process they still come here. Connections
// on their way keep coming for about a round trip, so a caller that wants to lose none
// goes on accepting for a while before it calls Drain and Close.
//
// Without this, connections that the kernel has hashed to this socket between the last
// accept and the close would be reset. It is meant for two processes: of three on one
// port the one in the middle may be chosen.
func (s *Socket) Yield() error {
	if s.unlink != nil {
		return nil
	}
	filter := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: successorIndex}}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := onDescriptor(s.control, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &program)
	})
	if err != nil {
		return fmt.Errorf("cannot yield %s to a successor: %w", s.addr, err)
	}
	return nil
}

// Interrupt makes Accept fail with [os.ErrDeadlineExceeded], now and from now on. The
// kernel goes on as before: while somebody accepts, Close would only ask it to end, and
// what came until then would be reset.
func (s *Socket) Interrupt() error {
	listener, ok := s.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return fmt.Errorf("cannot interrupt %s: it knows no deadline", s.addr)
	}
	return listener.SetDeadline(time.Unix(1, 0))
}

// Drain returns the connections that wait to be accepted, without waiting for more. What
// arrives between Drain and Close, some microseconds, is reset: without a successor the
// kernel offers no way to refuse new connections while it keeps the queued ones.
func (s *Socket) Drain() ([]net.Conn, error) {
	var conns []net.Conn
	err := onDescriptor(s.control, func(fd int) error {
		for {
			accepted, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
				continue
			}
			if errors.Is(err, unix.EAGAIN) {
				return nil
			}
			if err != nil {
				return err
			}
			conn, err := fromDescriptor(accepted)
			if err != nil {
				return err
			}
			conns = append(conns, conn)
		}
	})
	if err != nil {
		return conns, fmt.Errorf("cannot accept the last connections on %s: %w", s.addr, err)
	}
	return conns, nil
}

func fromDescriptor(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "connection")
	conn, err := net.FileConn(file) // duplicates the descriptor
	return conn, errors.Join(err, file.Close())
}
