package machine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Hub is the address at which machines find what the test serves on their network.
const Hub = "10.213.0.1"

// A Network is a switch that machines are plugged into, in a network namespace of its own: the host
// has no route to it, so that networks of several tests never meet.
type Network struct {
	mu    sync.Mutex
	space *os.File
	last  int
}

// NewNetwork makes a network. It lasts until Close and the last of its machines is gone.
func NewNetwork() (*Network, error) {
	n := &Network{last: 1}
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		space, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		n.space = space
		return ip(
			[]string{"link", "set", "lo", "up"},
			[]string{"link", "add", "hub", "type", "bridge"},
			[]string{"addr", "add", Hub + "/24", "dev", "hub"},
			[]string{"link", "set", "hub", "up"},
		)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make network: %w", err), n.Close())
	}
	return n, nil
}

// Close lets the network go.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.space == nil {
		return nil
	}
	err := n.space.Close()
	n.space = nil
	return err
}

// Listen opens a listener that every machine of the network reaches, at Hub.
func (n *Network) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return listenIn(ctx, n.space, network, address)
}

// connect plugs the machine whose first process is pid into the network and returns its address.
func (n *Network) connect(pid int) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	plug, address := "m"+strconv.Itoa(n.last), "10.213.0."+strconv.Itoa(n.last)
	err := in(n.space, func() error {
		return ip(
			[]string{"link", "add", plug, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pid)},
			[]string{"link", "set", plug, "master", "hub", "up"},
		)
	})
	if err != nil {
		return "", err
	}
	space, err := os.Open(netPath(pid))
	if err != nil {
		return "", err
	}
	defer func() { _ = space.Close() }()
	return address, in(space, func() error {
		return ip(
			[]string{"addr", "add", address + "/24", "dev", "eth0"},
			[]string{"link", "set", "eth0", "up"},
		)
	})
}

// Dial connects to an address as a program on the machine would. A host that is neither an IP
// address nor localhost stands for the machine itself.
func (m *Machine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" {
		return (&net.Dialer{}).DialContext(ctx, network, m.Path(address))
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	switch {
	case host == "localhost":
		host = "127.0.0.1"
	case net.ParseIP(host) == nil:
		host = m.address
	}
	space, err := os.Open(netPath(m.init.Process.Pid))
	if err != nil {
		return nil, err
	}
	defer func() { _ = space.Close() }()
	var conn net.Conn
	err = in(space, func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(host, port))
		return err
	})
	return conn, err
}

// Listen opens a listener that a program on the machine could have opened.
func (m *Machine) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	space, err := os.Open(netPath(m.init.Process.Pid))
	if err != nil {
		return nil, err
	}
	defer func() { _ = space.Close() }()
	return listenIn(ctx, space, network, address)
}

// HTTPClient returns a client that connects as Dial does.
func (m *Machine) HTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: m.Dial, Proxy: nil}}
}

func listenIn(ctx context.Context, space *os.File, network, address string) (net.Listener, error) {
	var listener net.Listener
	err := in(space, func() (err error) {
		listener, err = (&net.ListenConfig{}).Listen(ctx, network, address)
		return err
	})
	return listener, err
}

// in calls f in a network namespace. Sockets that f opens stay there, and so do the commands that it
// starts.
func in(space *os.File, f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot enter network: %w", err)
		}
		return f()
	})
}

// onThread calls f on a thread that nothing else uses before or after.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread together with this goroutine.
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

func ip(commands ...[]string) error {
	for _, args := range commands {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot run ip %v: %w: %s", args, err, out)
		}
	}
	return nil
}

func netPath(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/ns/net" }
