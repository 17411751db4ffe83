package registryd_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"docker-registry-operator/internal/registryd"
)

// unit is a directory with a configuration and a server that runs from it.
type unit struct {
	t      *testing.T
	dir    string
	server *registryd.Server
	log    *logBuffer
	stop   context.CancelFunc
	ended  chan error
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = bytes.Buffer{}
}

// start runs a server with the given configuration until the test ends. In it DIR stands
// for the unit's directory.
func start(t *testing.T, config string) *unit {
	t.Helper()
	u := prepare(t, t.TempDir())
	u.configure(config)
	u.start()
	return u
}

func prepare(t *testing.T, dir string) *unit {
	return &unit{t: t, dir: dir, log: new(logBuffer), ended: make(chan error, 1)}
}

func (u *unit) path(name string) string { return filepath.Join(u.dir, name) }

func (u *unit) configure(config string) {
	u.t.Helper()
	writeFile(u.t, u.path("config.yml"), []byte(strings.ReplaceAll(config, "DIR", u.dir)))
}

func (u *unit) start() {
	u.t.Helper()
	server, err := registryd.Start(u.t.Context(), registryd.Options{
		Config: u.path("config.yml"), Admin: u.path("admin.sock"), Version: "test", Log: u.log,
	})
	if err != nil {
		u.t.Fatalf("Start: %v", err)
	}
	u.server = server
	ctx, stop := context.WithCancel(context.Background())
	u.stop = stop
	go func() { u.ended <- server.Wait(ctx) }()
	u.t.Cleanup(u.end)
}

// end stops the server and waits for it. It may be called twice.
func (u *unit) end() {
	u.t.Helper()
	u.stop()
	u.join()
}

func (u *unit) join() {
	u.t.Helper()
	if err := <-u.ended; err != nil {
		u.t.Errorf("Wait: %v", err)
	}
	u.ended <- nil
}

func (u *unit) reload(config string) {
	u.t.Helper()
	u.configure(config)
	if err := u.server.Reload(); err != nil {
		u.t.Fatalf("Reload: %v", err)
	}
}

func (u *unit) url(path string) string {
	scheme := "http"
	if u.server.Status().TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + u.server.Status().Addr + path
}

// admin sends a request to the admin socket and decodes the answer into result.
func (u *unit) admin(method, path string, result any) int {
	u.t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", u.path("admin.sock"))
		},
	}}
	request, err := http.NewRequestWithContext(u.t.Context(), method, "http://admin"+path, nil)
	if err != nil {
		u.t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		u.t.Fatal(err)
	}
	defer response.Body.Close()
	if result != nil {
		if err := json.NewDecoder(response.Body).Decode(result); err != nil {
			u.t.Errorf("answer to %s %s: %v", method, path, err)
		}
	}
	return response.StatusCode
}

// get returns status and body of a request by a client that trusts any certificate and
// keeps no connection.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := newClient()
	defer client.CloseIdleConnections()
	response, err := client.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return response.StatusCode, string(body)
}

func newClient() *http.Client { return &http.Client{Transport: newTransport()} }

func newTransport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 10,
	}
}

// writeCertificate puts a new certificate for 127.0.0.1 into DIR/cert.pem and
// DIR/key.pem and returns when it expires.
func (u *unit) writeCertificate(validity time.Duration) time.Time {
	u.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		u.t.Fatal(err)
	}
	notAfter := time.Now().Add(validity).Truncate(time.Second).UTC()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter:     notAfter,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		u.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		u.t.Fatal(err)
	}
	writeFile(u.t, u.path("cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	writeFile(u.t, u.path("key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return notAfter
}

// writeFile replaces path at once, as the charm does.
func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// freeAddr returns an address that nobody listens on at the moment.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// filesystem is the least configuration, with more sections behind it.
func filesystem(addr string, more ...string) string {
	base := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: DIR/data}, delete: {enabled: true}}\nhttp: {addr: %q}\n", addr)
	return base + strings.Join(more, "\n")
}
