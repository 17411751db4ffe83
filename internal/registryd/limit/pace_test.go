package limit

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPatience(t *testing.T) {
	pace := Pace{Patience: time.Minute, Rate: 1000}
	for _, test := range []struct {
		name       string
		left, took time.Duration
		n          int64
		want       time.Duration
	}{
		{"nothing came", time.Minute, 10 * time.Second, 0, 50 * time.Second},
		{"as fast as it must be", 30 * time.Second, 10 * time.Second, 10_000, 30 * time.Second},
		{"slower", 30 * time.Second, 10 * time.Second, 1000, 21 * time.Second},
		{"patience does not add up", 30 * time.Second, time.Second, 59_000, time.Minute},
		{"the whole of it at once", time.Second, time.Second, 1 << 62, time.Minute},
		{"none left", time.Second, 2 * time.Second, 1, -999 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, pace.after(test.left, test.took, test.n)); diff != "" {
				t.Errorf("patience left (-want +got):\n%s", diff)
			}
		})
	}
}

// protocols are those that a client may speak.
var protocols = []struct {
	name  string
	tls   bool
	http2 bool
}{{"http", false, false}, {"https", true, false}, {"http2", true, true}}

// everyProtocol runs test with a server of handler for each protocol.
func everyProtocol(t *testing.T, handler http.Handler, test func(t *testing.T, server *httptest.Server)) {
	for _, protocol := range protocols {
		t.Run(protocol.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(handler)
			server.EnableHTTP2 = protocol.http2
			if protocol.tls {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			test(t, server)
		})
	}
}

// TestStalledUpload begins uploads and leaves them.
func TestStalledUpload(t *testing.T) {
	outcome := make(chan error, 1)
	handler := Pace{Patience: 50 * time.Millisecond, Rate: 1 << 30}.Serve(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			outcome <- err
		}))
	everyProtocol(t, handler, func(t *testing.T, server *httptest.Server) {
		reader, writer := io.Pipe()
		defer writer.Close()
		go func() { _, _ = writer.Write([]byte("begun")) }()
		request, err := http.NewRequestWithContext(t.Context(), "PUT", server.URL, reader)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = 1 << 20
		go func() {
			if response, err := server.Client().Do(request); err == nil {
				_ = response.Body.Close() // whether there is an answer is not of interest
			}
		}()
		if err := <-outcome; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the upload ended with %v, want a deadline", err)
		}
	})
}

// TestStalledDownload begins downloads and does not go on.
func TestStalledDownload(t *testing.T) {
	outcome := make(chan error, 1)
	file := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 64<<20); err != nil {
		t.Fatal(err)
	}
	handler := Pace{Patience: 50 * time.Millisecond, Rate: 1 << 40}.Serve(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			outcome <- download(w, r.URL.Path, file)
		}))
	for _, how := range []string{"/bytes", "/file"} {
		t.Run(how[1:], func(t *testing.T) {
			everyProtocol(t, handler, func(t *testing.T, server *httptest.Server) {
				client := server.Client()
				client.Transport.(*http.Transport).ReadBufferSize = 1
				response, err := client.Get(server.URL + how)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if err := <-outcome; !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the download ended with %v, want a deadline", err)
				}
			})
		})
	}
}

func download(w http.ResponseWriter, how, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w.Header().Set("Content-Length", "67108864")
	if how == "/file" {
		_, err = io.Copy(w, file)
		return err
	}
	_, err = w.Write(make([]byte, 64<<20))
	return err
}

// TestSlowStorage makes sure that a client does not pay for the time that the server takes.
func TestSlowStorage(t *testing.T) {
	const patience = 300 * time.Millisecond
	handler := Pace{Patience: patience, Rate: 1 << 30}.Serve(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := r.Body.Read(make([]byte, 1)); err != nil {
				t.Errorf("first byte: %v", err)
			}
			<-time.After(patience + patience/10)
			rest, err := io.ReadAll(r.Body)
			if err != nil || len(rest) != 1<<20-1 {
				t.Errorf("read %d bytes, %v", len(rest), err)
			}
			<-time.After(patience + patience/10)
			if r.Context().Err() != nil {
				t.Errorf("request ended: %v", r.Context().Err())
			}
			_, _ = w.Write(rest) // the client tells
		}))
	everyProtocol(t, handler, func(t *testing.T, server *httptest.Server) {
		t.Parallel()
		for range 2 { // the second on the same connection
			response, err := server.Client().Post(server.URL, "", bytes.NewReader(make([]byte, 1<<20)))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if answer, err := io.ReadAll(response.Body); err != nil || len(answer) != 1<<20-1 {
				t.Errorf("answer of %d bytes, %v", len(answer), err)
			}
		}
	})
}

// kernel stands for a writer that a file can be sent to without a copy.
type kernel struct {
	http.ResponseWriter
	bytes  bytes.Buffer
	copied int
}

func (k *kernel) Write(p []byte) (int, error) {
	k.copied += len(p)
	return k.bytes.Write(p)
}

func (k *kernel) ReadFrom(src io.Reader) (int64, error) {
	part, ok := src.(*io.LimitedReader)
	if !ok {
		return 0, errors.New("not a part of a file")
	}
	if _, ok := part.R.(*os.File); !ok {
		return 0, errors.New("not a file")
	}
	return k.bytes.ReadFrom(src)
}

// TestFilesAreNotCopied sends files and parts of files, as those who want sendfile do.
func TestFilesAreNotCopied(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*pieceSize/16+1)
	path := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		from func(file *os.File) io.Reader
		want []byte
		copy bool
	}{
		{"file", func(f *os.File) io.Reader { return f }, content, false},
		{"part", func(f *os.File) io.Reader { return io.LimitReader(f, pieceSize+1) }, content[:pieceSize+1], false},
		{"whole pieces", func(f *os.File) io.Reader { return io.LimitReader(f, 2*pieceSize) }, content[:2*pieceSize], false},
		{"part beyond the end", func(f *os.File) io.Reader { return io.LimitReader(f, 1<<40) }, content, false},
		{"nothing", func(f *os.File) io.Reader { return io.LimitReader(f, 0) }, nil, false},
		{"not a file", func(f *os.File) io.Reader { return struct{ io.Reader }{f} }, content, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			to := new(kernel)
			a := &answer{ResponseWriter: to, clock: Slowest.start(func() {})}
			n, err := a.ReadFrom(test.from(file))
			if err != nil || n != int64(len(test.want)) || !bytes.Equal(to.bytes.Bytes(), test.want) {
				t.Errorf("sent %d bytes, %v, want %d", n, err, len(test.want))
			}
			if copied := to.copied > 0; copied != test.copy {
				t.Errorf("copied %d bytes", to.copied)
			}
		})
	}
}
