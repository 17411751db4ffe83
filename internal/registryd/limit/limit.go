// Package limit bounds what one client can take from the others: how many connections and
// requests there are, how long a client may keep the server waiting, how much it may send, and
// how a path may look. Who may do what is left to access control.
package limit

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// HeaderBytes bounds the header of a request. The largest of honest ones holds a token of
	// some ten kilobytes.
	HeaderBytes = 64 << 10
	// HeaderTime is how long a client may take to shake hands and to send a header.
	HeaderTime = 30 * time.Second
	// IdleTime is how long a connection may wait for its next request. Clients and proxies
	// close theirs earlier, 90 s for those written in Go, so that none sends a request on a
	// connection that is being closed.
	IdleTime = 3 * time.Minute
	// Streams is how many requests of one connection of HTTP/2 run at once.
	Streams = 100
	// ManifestBytes bounds a manifest, and every other body that is not a blob's. The
	// specification wants at least 4 MiB:
	// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
	ManifestBytes = 4 << 20
)

// Bounds are how many of each there may be at once.
type Bounds struct {
	// Connections are those that are served; some more are told to come again.
	Connections int
	// Overflow is how many are told so, before further ones are closed unheard.
	Overflow int
	// Requests are those that are being answered.
	Requests int
	// Uploads are those of them that send something.
	Uploads int
}

// mostDescriptors is how many descriptors the bounds make use of. Each connection costs memory
// too, about 40 KiB with TLS.
const mostDescriptors = 32 << 10

// For returns the bounds of a process that may have so many open files. A connection is one, a
// pull opens a second, and a push up to two more.
func For(descriptors uint64) Bounds {
	n := int(min(descriptors, mostDescriptors))
	return Bounds{Connections: n * 7 / 16, Overflow: n / 16, Requests: n / 4, Uploads: n / 8}
}

// Descriptors is how many files this process may have open.
func Descriptors() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("cannot read how many files may be open: %w", err)
	}
	return limit.Cur, nil
}
