package image

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// transport reaches the destination at its own address, whatever the reference
// says, and trusts exactly the certificate that it is known to serve: names and
// authorities do not matter on the machine itself, an impostor on the port does.
func (d Destination) transport() (http.RoundTripper, error) {
	inner := http.DefaultTransport.(*http.Transport).Clone()
	inner.Proxy = nil
	inner.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, d.Address)
	}
	if d.Certificate == nil {
		return scheme{"http", inner}, nil
	}
	leaf, _ := pem.Decode(d.Certificate)
	if leaf == nil {
		return nil, errors.New("cannot read the registry's certificate: not PEM")
	}
	inner.TLSClientConfig = &tls.Config{
		InsecureSkipVerify: true, // VerifyConnection is stricter
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, leaf.Bytes) {
				return errors.New("the registry's port serves another certificate than the registry's")
			}
			return nil
		},
	}
	return scheme{"https", inner}, nil
}

// scheme sends every request of go-containerregistry, which guesses from the
// host's name, over one scheme.
type scheme struct {
	name  string
	inner http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (s scheme) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme = s.name
	return s.inner.RoundTrip(request)
}

// connectTimeout bounds how long a source may take to answer at all: what is behind a
// firewall never does, and a hook waits for it.
const connectTimeout = 5 * time.Second

func (s Source) transport() http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, network, address)
		if err != nil {
			// Wrapped, so that go-containerregistry does not take a timeout for something
			// temporary and wait for it twice more.
			return nil, fmt.Errorf("cannot connect: %w", err)
		}
		return conn, nil
	}
	proxies := (&httpproxy.Config{HTTPProxy: s.HTTPProxy, HTTPSProxy: s.HTTPSProxy, NoProxy: s.NoProxy}).ProxyFunc()
	transport.Proxy = func(request *http.Request) (*url.URL, error) {
		return proxies(request.URL)
	}
	return transport
}
