package registryd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"docker-registry-operator/internal/registryd/limit"
	"docker-registry-operator/internal/registryd/listen"
	"docker-registry-operator/internal/registryd/tlsconf"
)

// roomy are bounds that no test comes near to.
var roomy = limit.Bounds{Connections: 1000, Overflow: 1000, Requests: 1000, Uploads: 1000}

// startFront serves handler until the test ends, and returns the address.
func startFront(t *testing.T, how transport, bounds limit.Bounds, handler http.HandlerFunc) (*front, string) {
	t.Helper()
	socket, err := listen.Open(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(slog.New(slog.DiscardHandler), func() transport { return how }, bounds, handler)
	f.serve(socket)
	t.Cleanup(func() {
		f.leave(socket)
		if err := errors.Join(f.plain.Close(), f.h2c.Close(), f.shutdown(t.Context())); err != nil && !errors.Is(err, t.Context().Err()) {
			t.Errorf("end: %v", err)
		}
	})
	return f, socket.Address()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // perhaps again
	return conn
}

// over sends a request on conn and returns the status and the header of the answer.
func over(t *testing.T, conn net.Conn, path string) (int, http.Header) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header
}

// closed waits until the server closes conn.
func closed(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: %v", what, err)
	}
}

// TestConnectionsAreBounded opens more connections than there is room for.
func TestConnectionsAreBounded(t *testing.T) {
	bounds := roomy
	bounds.Connections, bounds.Overflow = 3, 2
	f, addr := startFront(t, transport{}, bounds, func(http.ResponseWriter, *http.Request) {})
	kept := make([]net.Conn, bounds.Connections)
	for i := range kept {
		kept[i] = dial(t, addr)
		if status, _ := over(t, kept[i], "/v2/"); status != http.StatusOK {
			t.Errorf("connection %d: %d", i, status)
		}
	}
	first, second := dial(t, addr), dial(t, addr)
	await(t, func() bool { return f.open() == 5 })
	closed(t, "unheard", dial(t, addr))
	status, header := over(t, first, "/v2/")
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "5" {
		t.Errorf("surplus connection: %d, %v", status, header)
	}
	closed(t, "surplus", first)
	if status, _ := over(t, second, "/"); status != http.StatusOK {
		t.Errorf("health of a surplus connection: %d", status)
	}
	closed(t, "surplus after /", second)
	if status, _ := over(t, kept[0], "/v2/"); status != http.StatusOK {
		t.Errorf("a connection from before: %d", status)
	}
	for _, conn := range kept {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	await(t, func() bool { return f.open() == 0 })
	if status, _ := over(t, dial(t, addr), "/v2/"); status != http.StatusOK {
		t.Errorf("with room again: %d", status)
	}
}

func await(t *testing.T, so func() bool) {
	t.Helper()
	for !so() {
		if t.Context().Err() != nil {
			t.Fatal("never so")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestSilentClients opens connections and leaves them in every state before a request.
func TestSilentClients(t *testing.T) {
	const patience = 50 * time.Millisecond
	for how, beginning := range map[string]string{"plain": "GET / HTTP/1.1\r\nHost:", "tls": "\x16\x03\x01"} {
		t.Run(how, func(t *testing.T) {
			var transport transport
			if how == "tls" {
				transport.tls = selfSigned(t)
			}
			f, addr := startFront(t, transport, roomy, func(http.ResponseWriter, *http.Request) {})
			f.plain.ReadHeaderTimeout, f.plain.IdleTimeout = patience, patience
			closed(t, "nothing sent", dial(t, addr))
			begun := dial(t, addr)
			if _, err := io.WriteString(begun, beginning); err != nil {
				t.Fatal(err)
			}
			closed(t, "begun", begun)
			if how == "plain" {
				idle := dial(t, addr)
				if status, _ := over(t, idle, "/v2/"); status != http.StatusOK {
					t.Errorf("status %d", status)
				}
				closed(t, "idle", idle)
			}
		})
	}
}

// TestLargeHeader sends more than there may be.
func TestLargeHeader(t *testing.T) {
	_, addr := startFront(t, transport{}, roomy, func(http.ResponseWriter, *http.Request) {})
	for size, want := range map[int]int{limit.HeaderBytes / 2: 200, 2 * limit.HeaderBytes: 431} {
		request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.Repeat("x", size))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		if response.StatusCode != want {
			t.Errorf("header of %d bytes: %d, want %d", size, response.StatusCode, want)
		}
	}
}

// TestRapidReset begins requests over HTTP/2 and takes each back at once, while those that the
// server has begun do not end (CVE-2023-44487).
func TestRapidReset(t *testing.T) {
	var running, most atomic.Int64
	release := make(chan bool)
	_, addr := startFront(t, transport{h2c: true}, roomy, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/held" {
			return
		}
		now := running.Add(1)
		for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
		}
		<-release
		running.Add(-1)
	})
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := errors.Join(framer.WriteSettings(), resetMany(framer, 20*limit.Streams)); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Fatal(err)
	}
	closed(t, "abused", conn)
	if got := most.Load(); got == 0 || got > limit.Streams {
		t.Errorf("%d requests ran at once, want at most %d", got, limit.Streams)
	}
	close(release)
	if status, _ := over(t, dial(t, addr), "/v2/"); status != http.StatusOK {
		t.Errorf("afterwards: %d", status)
	}
}

func resetMany(framer *http2.Framer, count int) error {
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/held"}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}); err != nil {
			return err
		}
	}
	for i := range count {
		stream := uint32(2*i + 1)
		header := http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: true}
		if err := errors.Join(framer.WriteHeaders(header), framer.WriteRSTStream(stream, http2.ErrCodeCancel)); err != nil {
			return err
		}
	}
	return nil
}

// TestDescriptorsRunOut takes all file descriptors of the process but one, for a client's
// connection, which the server then has none to accept with.
func TestDescriptorsRunOut(t *testing.T) {
	_, addr := startFront(t, transport{}, roomy, func(http.ResponseWriter, *http.Request) {})
	if status, _ := over(t, dial(t, addr), "/v2/"); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	files := exhaust(t)
	if err := files[0].Close(); err != nil {
		t.Fatal(err)
	}
	conn := dial(t, addr)
	if _, err := os.Open(os.DevNull); !errors.Is(err, syscall.EMFILE) {
		t.Fatalf("there are descriptors left: %v", err)
	}
	time.Sleep(10 * acceptPause) // the server tries to accept
	for _, file := range files[1:] {
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range []net.Conn{conn, dial(t, addr)} {
		if status, _ := over(t, conn, "/v2/"); status != http.StatusOK {
			t.Errorf("afterwards: %d", status)
		}
	}
}

// exhaust opens files until there are no descriptors left, of which there are few until the
// test ends.
func exhaust(t *testing.T) []*os.File {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	few := syscall.Rlimit{Cur: 256, Max: was.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	t.Cleanup(func() {
		for _, file := range files {
			_ = file.Close() // perhaps again
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	})
	for {
		file, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
}

// selfSigned is a setup with a certificate that was made for it.
func selfSigned(t *testing.T) *tlsconf.Setup {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	server.Close()
	return &tlsconf.Setup{Config: server.TLS}
}
