package upstream

import (
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
)

const (
	// connectTimeout bounds the way to the upstream, and to its proxy.
	connectTimeout = 5 * time.Second
	// answerTimeout bounds how long the upstream may think: it may be a cache itself,
	// which fetches a manifest first.
	answerTimeout = 30 * time.Second
	// stallTimeout bounds how long it may send nothing of what it has begun to send.
	stallTimeout = time.Minute
	// pingTimeout bounds how long a connection of HTTP/2 is used that is dead.
	pingTimeout = 15 * time.Second
	// idleTimeout is how long connections are kept for further requests.
	idleTimeout = 90 * time.Second
	// idleConns are as many as clients pull layers at once.
	idleConns = 32
)

// newTransport reads the environment each time, which net/http does once a process.
func newTransport() *http.Transport {
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	dialer := &net.Dialer{Timeout: connectTimeout}
	return &http.Transport{
		Proxy:                 func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConnsPerHost:   idleConns,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingTimeout, PingTimeout: pingTimeout},
		DisableCompression:    true,
	}
}
