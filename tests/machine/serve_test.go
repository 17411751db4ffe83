package machine_test

import (
	"io"
	"net"
	"net/http"
	"testing"
)

// serve answers every request on the listener with a text, until the test ends.
func serve(t *testing.T, listener net.Listener, text string) {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, text)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}
