package host

import (
	"net"
	"testing"
)

func TestBusy(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Skipf("cannot listen on %s: %v", address, err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		if !Busy(port) {
			t.Errorf("a port on %s is not busy", address)
		}
		listener.Close()
		if Busy(port) {
			t.Errorf("a closed port on %s is busy", address)
		}
	}
}
