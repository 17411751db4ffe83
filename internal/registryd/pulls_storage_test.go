package registryd

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"docker-registry-operator/internal/registryd/limit"
	"docker-registry-operator/internal/registryd/serve"
)

// cached makes distribution remember what it has seen.
const cached = ", cache: {blobdescriptor: inmemory}"

// TestDeletedElsewhere removes from storage what the registry has just served: another registry on the same storage
// does no more.
func TestDeletedElsewhere(t *testing.T) {
	p := newPulled(t, sections{storage: cached})
	blob := p.blob("app", []byte("hello"))
	config := map[string]any{"mediaType": v1.MediaTypeImageConfig, "digest": blob, "size": 5}
	fields := map[string]any{"mediaType": v1.MediaTypeImageManifest, "config": config, "layers": []any{}}
	manifest := p.manifest("app", "latest", v1.MediaTypeImageManifest, fields)
	fields["annotations"] = map[string]string{"a": "b"}
	second := p.manifest("app", "other", v1.MediaTypeImageManifest, fields)
	accept := header("Accept", v1.MediaTypeImageManifest)
	want := func(path, status, digest string) {
		t.Helper()
		got := ask(t, p.ours.URL, http.MethodGet, path, accept)
		if got.Status != status || got.Header.Get("Docker-Content-Digest") != digest {
			t.Errorf("%s: %s with %s, want %s with %s", path, got.Status, got.Header.Get("Docker-Content-Digest"), status, digest)
		}
	}
	const ok, lost = "200 OK", "404 Not Found"
	tag, byDigest, layer := "/v2/app/manifests/latest", "/v2/app/manifests/"+manifest, "/v2/app/blobs/"+blob
	want(tag, ok, manifest)
	want(byDigest, ok, manifest)
	want(layer, ok, blob)
	p.write("repositories/app/_manifests/tags/latest/current/link", second)
	want(tag, ok, second)
	p.remove("repositories/app/_manifests/revisions/sha256/" + second[7:])
	want(tag, lost, "")
	p.write("repositories/app/_manifests/tags/latest/current/link", manifest)
	want(tag, ok, manifest)
	p.remove("repositories/app/_manifests/tags/latest")
	want(tag, lost, "")
	want(byDigest, ok, manifest)
	p.remove("repositories/app/_manifests/revisions/sha256/" + manifest[7:])
	want(byDigest, lost, "")
	p.remove("repositories/app/_layers/sha256/" + blob[7:])
	want(layer, lost, "")
	p.write("repositories/app/_layers/sha256/"+blob[7:]+"/link", blob)
	want(layer, ok, blob)
	p.remove("blobs/sha256/" + blob[7:9] + "/" + blob[7:])
	want(layer, lost, "")
}

func (p *pulled) remove(name string) {
	p.t.Helper()
	if err := os.RemoveAll(p.path(name)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pulled) write(name, content string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.path(name), []byte(content), 0o666); err != nil {
		p.t.Fatal(err)
	}
}

// TestDamagedStorage leaves links that are not as they should be to the application, and answers no blob of which
// a power cut has left an empty file.
func TestDamagedStorage(t *testing.T) {
	p := newPulled(t, sections{storage: cached})
	blob, other := p.blob("app", []byte("hello")), p.blob("app", []byte("bye"))
	link := "repositories/app/_layers/sha256/" + blob[7:] + "/link"
	path := "/v2/app/blobs/" + blob
	p.compare([]asked{{"whole", path, nil, true}})
	for name, content := range map[string]string{
		"empty": "", "short": blob[:70], "long": blob + "\n", "other": other, "dots": "sha256:../../../../../../../../../../../../../../../../../../../../etc/passwd",
	} {
		p.write(link, content)
		p.compare([]asked{{name + " link", path, nil, false}})
	}
	p.remove(link)
	p.write(link+"/file", "")
	p.compare([]asked{{"directory for a link", path, nil, false}})
	p.remove(link)
	p.write(link, blob)
	p.write("blobs/sha256/"+blob[7:9]+"/"+blob[7:]+"/data", "")
	if got := ask(t, p.ours.URL, http.MethodGet, path, nil); got.Status != "404 Not Found" {
		t.Errorf("an empty file was answered %s", got.Status)
	}
	p.remove("blobs/sha256/" + blob[7:9] + "/" + blob[7:] + "/data")
	p.write("blobs/sha256/"+blob[7:9]+"/"+blob[7:]+"/data/file", "")
	if got := ask(t, p.ours.URL, http.MethodGet, path, nil); got.Status == "200 OK" {
		t.Errorf("a directory was answered %s", got.Status)
	}
}

// TestChangedManifest has the bytes of a manifest changed on storage: they are not kept under the digest.
func TestChangedManifest(t *testing.T) {
	p := newPulled(t, sections{})
	config := map[string]any{"mediaType": v1.MediaTypeImageConfig, "digest": p.blob("app", []byte("{}")), "size": 2}
	digest := p.manifest("app", "latest", v1.MediaTypeImageManifest,
		map[string]any{"mediaType": v1.MediaTypeImageManifest, "config": config, "layers": []any{}})
	data := "blobs/sha256/" + digest[7:9] + "/" + digest[7:] + "/data"
	good, err := os.ReadFile(p.path(data))
	if err != nil {
		t.Fatal(err)
	}
	path, accept := "/v2/app/manifests/latest", header("Accept", v1.MediaTypeImageManifest)
	p.write(data, string(good)+" ")
	p.compare([]asked{{"changed", path, accept, false}})
	p.write(data, string(good))
	p.compare([]asked{{"whole again", path, accept, true}})
}

// TestUnmetCondition gets an answer that can be read to its end; that of the application announces the blob's length.
func TestUnmetCondition(t *testing.T) {
	p := newPulled(t, sections{})
	got := ask(t, p.ours.URL, http.MethodGet, "/v2/app/blobs/"+p.blob("app", []byte("hello")), header("If-Match", `"x"`))
	if got.Status != "412 Precondition Failed" || got.Length != 0 || got.Cut {
		t.Errorf("answer %+v", got)
	}
}

// TestLeftToApplication configures what storage alone does not answer.
func TestLeftToApplication(t *testing.T) {
	for name, more := range map[string]string{
		"notifications":       "notifications: {endpoints: [{name: a, url: 'http://127.0.0.1:1', timeout: 1s, threshold: 5, backoff: 1s}]}\n",
		"redirecting storage": "middleware: {storage: [{name: redirect, options: {baseurl: 'https://cdn.test/'}}]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := newPulled(t, sections{more: more})
			digest := p.blob("app", []byte("hello"))
			before := p.asked.Load()
			ask(t, p.ours.URL, http.MethodGet, "/v2/app/blobs/"+digest, nil)
			if p.asked.Load() == before {
				t.Error("the application was not asked")
			}
		})
	}
}

// sendfileConn counts what net/http hands to the connection as a file.
type sendfileConn struct {
	*net.TCPConn
	sent *atomic.Int64
}

// ReadFrom counts what the kernel will copy: net.TCPConn uses sendfile for a limited *os.File.
func (c sendfileConn) ReadFrom(src io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(src)
	if limited, ok := src.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			c.sent.Add(n)
		}
	}
	return n, err
}

type sendfileListener struct {
	net.Listener
	sent atomic.Int64
}

// Accept wraps the connection.
func (l *sendfileListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return sendfileConn{conn.(*net.TCPConn), &l.sent}, nil
}

// TestSendfile pulls through all layers, with the access log and metrics, and wants nearly all bytes to go from the
// file to the connection without passing through the process. net/http copies the first 512 with the headers.
func TestSendfile(t *testing.T) {
	p := newPulled(t, sections{http: ", debug: {addr: '127.0.0.1:0', prometheus: {enabled: true}}"})
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	digest := p.blob("app", content)
	var log bytes.Buffer
	server := httptest.NewUnstartedServer(p.g.chain(&log, serve.NewManifests()))
	listener := &sendfileListener{Listener: server.Listener}
	server.Listener = listener
	server.Start()
	defer server.Close()
	got := ask(t, server.URL, http.MethodGet, "/v2/app/blobs/"+digest, nil)
	if got.Body != string(content) {
		t.Error("the blob was not what was pushed")
	}
	if want := int64(len(content) - 512); listener.sent.Load() != want {
		t.Errorf("%d bytes were sent by the kernel, want %d", listener.sent.Load(), want)
	}
	server.Close()
	if line := log.String(); !bytes.Contains(log.Bytes(), []byte(`" 200 1000000 "`)) {
		t.Errorf("access log: %s", line)
	}
}

// TestUserInAccessLog looks at the lines of a pull that is answered here and of a request that the application answers.
func TestUserInAccessLog(t *testing.T) {
	p := newPulled(t, sections{more: "auth: {silly: {realm: r, service: s}}\n"})
	var log bytes.Buffer
	server := httptest.NewServer(p.g.chain(&log, serve.NewManifests()))
	ask(t, server.URL, http.MethodGet, "/v2/", header("Authorization", "x"))
	ask(t, server.URL, http.MethodGet, "/v2/app/blobs/"+absentDigest, header("Authorization", "x"))
	ask(t, server.URL, http.MethodGet, "/v2/", nil)
	server.Close()
	var users []string
	for line := range strings.Lines(log.String()) {
		users = append(users, strings.Fields(line)[2])
	}
	if diff := cmp.Diff([]string{"silly", "silly", "-"}, users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

func canSendFiles(conn net.Conn) bool {
	_, ok := conn.(io.ReaderFrom)
	return ok
}

// TestOverTLS pulls over TLS, with HTTP/2 and without, where bytes pass through a buffer.
func TestOverTLS(t *testing.T) {
	p := newPulled(t, sections{})
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	path := "/v2/app/blobs/" + p.blob("app", content)
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		server := httptest.NewUnstartedServer(p.g.chain(io.Discard, serve.NewManifests()))
		server.EnableHTTP2 = version == "HTTP/2.0"
		server.StartTLS()
		response, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if err != nil || response.Proto != version || response.ContentLength != int64(len(content)) || !bytes.Equal(got, content) {
			t.Errorf("%s: %s, %d bytes of %d, %v", version, response.Proto, len(got), response.ContentLength, err)
		}
		server.Close()
	}
}

// TestBareConnection makes sure that the front serves connections of which the kernel can be asked to send a file.
func TestBareConnection(t *testing.T) {
	served := make(chan net.Conn, 1)
	f := newFront(newServer(Options{Log: io.Discard}).log, func() transport { return transport{} }, limit.For(1024),
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	note := f.plain.ConnState
	f.plain.ConnState = func(conn net.Conn, state http.ConnState) {
		note(conn, state)
		if state == http.StateActive {
			served <- conn
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			f.take(conn)
		}
	}()
	ask(t, "http://"+listener.Addr().String(), http.MethodGet, "/", nil)
	if conn := <-served; !canSendFiles(conn) {
		t.Errorf("the connection is a %T", conn)
	}
	if err := f.shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
