package script

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// requests is what clients of a unit and services that it uses do.
func requests() map[string]command {
	return map[string]command{
		"request":  {3, many, request},
		"receive":  {2, 2, receive},
		"received": {1, 1, received},
	}
}

// request takes settings as KEY=VALUE: user=NAME:PASSWORD, ca=FILE, body=FILE, and any header.
func request(ctx context.Context, w *world, ts *testscript.TestScript, args []string) (string, error) {
	m, err := w.host(args[0])
	if err != nil {
		return "", err
	}
	settings, others := pairs(args[3:])
	if len(others) > 0 {
		return "", fmt.Errorf("cannot use %q: want KEY=VALUE", others[0])
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, args[1], args[2], nil)
	if err != nil {
		return "", err
	}
	transport := &http.Transport{DialContext: m.Dial}
	defer transport.CloseIdleConnections()
	for key, value := range settings {
		if err := prepare(ts, req, transport, key, value); err != nil {
			return "", err
		}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	return show(resp)
}

func prepare(ts *testscript.TestScript, req *http.Request, transport *http.Transport, key, value string) error {
	switch key {
	case "user":
		user, password, _ := strings.Cut(value, ":")
		req.SetBasicAuth(user, password)
	case "ca":
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(ts.ReadFile(value))) {
			return fmt.Errorf("cannot trust %s: no certificate in it", value)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	case "body":
		file, err := os.Open(ts.MkAbs(value))
		if err != nil {
			return err
		}
		// The transport closes it.
		req.Body = file
	default:
		req.Header.Set(key, value)
	}
	return nil
}

// show writes a response as curl -i does, with the certificates before it.
func show(resp *http.Response) (string, error) {
	var out strings.Builder
	if resp.TLS != nil {
		for _, cert := range resp.TLS.PeerCertificates {
			fmt.Fprintf(&out, "certificate %s\n", cert.Subject.CommonName)
		}
	}
	fmt.Fprintln(&out, resp.Status)
	if err := resp.Header.Write(&out); err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	fmt.Fprintf(&out, "\n%s\n", body)
	return strings.ReplaceAll(out.String(), "\r\n", "\n"), err
}

// A receiver is an HTTP server of the script's own that notes what it is asked. A request for
// another host it passes on, as a proxy does.
type receiver struct {
	server http.Server
	mu     sync.Mutex
	noted  strings.Builder
}

func receive(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	if w.receiver != nil {
		return "", errors.New("a receiver is there already")
	}
	m, err := w.host(args[0])
	if err != nil {
		return "", err
	}
	listener, err := m.Listen(ctx, "tcp", args[1])
	if err != nil {
		return "", err
	}
	r := &receiver{}
	out := &http.Transport{DialContext: m.Dial}
	r.server.Handler = http.HandlerFunc(func(resp http.ResponseWriter, req *http.Request) { r.serve(resp, req, out) })
	w.receiver = r
	go func() {
		// It ends with an error, that of a server that was closed.
		_ = r.server.Serve(listener)
		out.CloseIdleConnections()
	}()
	return "", nil
}

func received(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	wanted, err := regexp.Compile("(?m)" + args[0])
	if err != nil {
		return "", err
	}
	if w.receiver == nil {
		return "", errors.New("there is no receiver")
	}
	for {
		noted := w.receiver.all()
		if wanted.MatchString(noted) {
			return noted, nil
		}
		select {
		case <-ctx.Done():
			return noted, fmt.Errorf("nothing received matches %q: %w", args[0], ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *receiver) serve(resp http.ResponseWriter, req *http.Request, out *http.Transport) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(resp, err.Error(), http.StatusBadRequest)
		return
	}
	r.note(req, body)
	if !req.URL.IsAbs() {
		return
	}
	onward := req.Clone(req.Context())
	onward.RequestURI, onward.Body = "", http.NoBody
	onward.Header.Del("Proxy-Authorization")
	answer, err := out.RoundTrip(onward)
	if err != nil {
		http.Error(resp, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	for key, values := range answer.Header {
		resp.Header()[key] = values
	}
	resp.WriteHeader(answer.StatusCode)
	// A client that has gone away is its own business.
	_, _ = io.Copy(resp, answer.Body)
}

func (r *receiver) note(req *http.Request, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.noted, "%s %s\n", req.Method, req.RequestURI)
	if authorization := req.Header.Get("Proxy-Authorization"); authorization != "" {
		fmt.Fprintf(&r.noted, "Proxy-Authorization: %s\n", authorization)
	}
	fmt.Fprintf(&r.noted, "%s\n", body)
}

func (r *receiver) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.noted.String()
}
