package admin

import (
	"fmt"
	"os"
	"path/filepath"
)

// maxAddress is how long, in bytes, the path of a Unix socket may be: sun_path of
// unix(7) less its terminating zero.
const maxAddress = 107

// shorten is an address of the same socket that the kernel takes, however deep the
// socket's directory is. It holds until done is called.
func shorten(socket string) (address string, done func(), err error) {
	if len(socket) <= maxAddress {
		return socket, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(socket))
	if err != nil {
		return "", nil, err
	}
	address = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(socket))
	return address, func() { _ = dir.Close() }, nil
}
