package registryd_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"docker-registry-operator/internal/registryd"
)

// upload is a blob upload whose body the test writes piece by piece.
type upload struct {
	body   *io.PipeWriter
	answer chan error
}

// startUpload begins to push content to the unit and returns when the server has read
// the first half of it.
func startUpload(t *testing.T, u *unit, content []byte) *upload {
	t.Helper()
	client := newClient()
	t.Cleanup(client.CloseIdleConnections)
	before := u.server.Status().Requests
	response, err := client.Post(u.url("/v2/app/blobs/uploads/"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, "end of a request", func() bool { return u.server.Status().Requests <= before })
	reader, writer := io.Pipe()
	location := response.Header.Get("Location") + "&digest=" + digest.FromBytes(content).String()
	request, err := http.NewRequestWithContext(context.Background(), "PUT", location, reader)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = int64(len(content))
	up := &upload{body: writer, answer: make(chan error, 1)}
	go func() { up.answer <- put(client, request) }()
	if _, err := writer.Write(content[:len(content)/2]); err != nil {
		t.Fatal(err)
	}
	// The server may not have read yet what the client has sent.
	await(t, "upload", func() bool { return u.server.Status().Requests > before })
	return up
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for !so() {
		if t.Context().Err() != nil {
			t.Fatalf("no %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func put(client *http.Client, request *http.Request) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated {
		err = fmt.Errorf("answer %s", response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

func (up *upload) finish(t *testing.T, content []byte) {
	t.Helper()
	if _, err := up.body.Write(content[len(content)/2:]); err != nil {
		t.Error(err)
	}
	if err := up.body.Close(); err != nil {
		t.Error(err)
	}
	if err := <-up.answer; err != nil {
		t.Errorf("upload: %v", err)
	}
}

// blob is larger than the buffers of sockets and pipes on its way.
func blob() []byte { return bytes.Repeat([]byte("0123456789abcdef"), 1<<19) }

// TestRequestsOutliveTheirGeneration reloads in the middle of an upload.
func TestRequestsOutliveTheirGeneration(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	content := blob()
	up := startUpload(t, u, content)
	u.reload(filesystem("127.0.0.1:0", "log: {level: error}"))
	if got := u.server.Status().Requests; got != 1 {
		t.Errorf("%d requests are running, want 1", got)
	}
	up.finish(t, content)
}

// TestStopFinishesRequests stops a server in the middle of an upload.
func TestStopFinishesRequests(t *testing.T) {
	for _, test := range []struct {
		name string
		stop func(*unit)
	}{
		{"stop", func(u *unit) { u.stop() }},
		{"retire", func(u *unit) { u.admin("POST", "/v1/retire", nil) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := start(t, filesystem("127.0.0.1:0"))
			content := blob()
			up := startUpload(t, u, content)
			test.stop(u)
			for u.server.Status().State != registryd.StateRetiring {
				if t.Context().Err() != nil {
					t.Fatal("server does not retire")
				}
			}
			if err := u.server.Reload(); !errors.Is(err, registryd.ErrEnding) {
				t.Errorf("reload of a retiring server: %v", err)
			}
			up.finish(t, content)
			u.join()
			if _, err := os.Stat(u.path("admin.sock")); err == nil {
				t.Error("admin socket left behind")
			}
		})
	}
}

// TestStopAnswersWhoHasConnected stops a server that has a connection without a request,
// as a client's whose request is on its way.
func TestStopAnswersWhoHasConnected(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	url, err := url.Parse(u.url("/v2/"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", url.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	u.stop()
	for u.server.Status().State != registryd.StateRetiring {
		if t.Context().Err() != nil {
			t.Fatal("server does not end")
		}
	}
	for { // until nobody listens any more
		other, err := net.Dial("tcp", url.Host)
		if err != nil {
			break
		}
		_ = other.Close()
	}
	time.Sleep(100 * time.Millisecond)
	request, err := http.NewRequestWithContext(t.Context(), "GET", url.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := request.Write(conn); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if response.StatusCode != http.StatusOK || !response.Close {
		t.Errorf("answer %s, closes %v", response.Status, response.Close)
	}
	u.join()
}

// TestDrainTimeout stops a server with a request that does not end.
func TestDrainTimeout(t *testing.T) {
	u := start(t, withHTTP(`addr: "127.0.0.1:0", draintimeout: 100ms`))
	up := startUpload(t, u, blob())
	u.stop()
	if err := <-u.ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait: %v, want the deadline", err)
	}
	u.ended <- nil
	// The client goes on reading its body even when its connection is gone.
	if err := up.body.CloseWithError(io.ErrUnexpectedEOF); err != nil {
		t.Error(err)
	}
	if err := <-up.answer; err == nil {
		t.Error("upload was answered")
	}
}

// TestRetireTellsClients makes sure that a client with an open connection is told to
// leave, rather than cut off.
func TestRetireTellsClients(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	client := newClient()
	defer client.CloseIdleConnections()
	url := u.url("/v2/")
	reusedConnection(t, client, url)
	u.server.Retire()
	for u.server.Status().State != registryd.StateRetiring {
		if t.Context().Err() != nil {
			t.Fatal("server does not retire")
		}
	}
	var parted bool
	for range 1000 {
		response, err := client.Get(url)
		if err != nil {
			if !parted {
				t.Errorf("cut off: %v", err)
			}
			break
		}
		parted = parted || response.Close
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Error(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		if parted {
			break
		}
	}
	if !parted {
		t.Error("no answer said Connection: close")
	}
	u.join()
}

// TestAdmin checks the paths and methods of the admin socket.
func TestAdmin(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/v1/status", 200},
		{"POST", "/v1/status", 405},
		{"POST", "/v1/reload", 200},
		{"GET", "/v1/reload", 405},
		{"GET", "/v1/retire", 405},
		{"GET", "/v1/repositories", 200},
		{"POST", "/v1/repositories", 405},
		{"GET", "/", 404},
	} {
		if got := u.admin(test.method, test.path, nil); got != test.want {
			t.Errorf("%s %s: status %d, want %d", test.method, test.path, got, test.want)
		}
	}
	var status registryd.Status
	u.admin("GET", "/v1/status", &status)
	if status.State != registryd.StateServing || status.Version != "test" || !strings.HasPrefix(status.Config, "sha256:") {
		t.Errorf("status %+v", status)
	}
}
