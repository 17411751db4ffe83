package host

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Busy says that something listens on a TCP port of the host, on whatever address. A
// registry that shares its port with its successor counts too, so ask only about a
// port that the unit does not use yet. A port that cannot be tried, such as 80
// without being root, is not busy.
func Busy(port int) bool {
	// Two sockets, because a listener may be of one family alone.
	for _, network := range []string{"tcp4", "tcp6"} {
		listener, err := net.Listen(network, fmt.Sprintf(":%d", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			return true
		}
		if err == nil {
			listener.Close()
		}
	}
	return false
}
