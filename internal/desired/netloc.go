package desired

import (
	"fmt"
	"strings"
)

// join is host:port, with an IPv6 address in brackets.
func join(host string, port int) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s:%d", host, port)
}

// loopback says that Docker reaches netloc without trusting an authority: it takes
// every registry of 127.0.0.0/8 and ::1 on this host for an insecure one.
func loopback(netloc string) bool {
	return strings.HasPrefix(netloc, "127.") || strings.HasPrefix(netloc, "localhost:") ||
		strings.HasPrefix(netloc, "[::1]:")
}
