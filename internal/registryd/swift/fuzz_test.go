package swift

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/ncw/swift/v2"
)

// FuzzObject reads the headers of an object as a broken object store may send them.
func FuzzObject(f *testing.F) {
	f.Add("5", "", "Mon, 02 Jan 2006 15:04:05 GMT", "x", "c/segments/a")
	f.Add("", "bytes 0-4/5", "", "", "")
	f.Add("-5", "", "never", "5", "%zz")
	f.Add("0", "bytes */*", "", "-", "/")
	f.Add("9223372036854775808", "/-1", "", "", "c%2fsegments//")
	f.Fuzz(func(t *testing.T, length, span, modified, size, manifest string) {
		o, err := newObject(swift.Headers{
			"Content-Length": length, "Content-Range": span, "Last-Modified": modified,
			sizeMeta: size, dynamicManifest: manifest,
		})
		if err != nil {
			return
		}
		if o.size < 0 {
			t.Errorf("size %d", o.size)
		}
		if complete := o.complete() == nil; complete && size != "" && strings.HasPrefix(size, "-") {
			t.Errorf("an object of %q bytes is complete", size)
		}
		if segments := o.segments(); segments != "" && !o.isDynamic() && !o.isStatic() {
			t.Errorf("segments %q of an object that has none", segments)
		}
		o.metadata()
	})
}

// maxAsked is how many requests an operation may take if answers are as few as they are here.
const maxAsked = 300

// script answers requests with what was written for them, one answer after the other, and then that there is
// nothing.
type script struct {
	answers *bufio.Reader
	asked   int
	cancel  context.CancelFunc
}

// RoundTrip answers r.
func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.asked++; s.asked > maxAsked {
		s.cancel()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	response, err := http.ReadResponse(s.answers, r)
	if err != nil {
		return &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	content, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	response.Body = io.NopCloser(bytes.NewReader(content))
	return response, nil
}

// FuzzAnswers lets a broken object store answer everything that the driver asks. Each operation ends.
func FuzzAnswers(f *testing.F) {
	const list = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
	answer := func(headers, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s", len(body), headers, body)
	}
	page := answer("Content-Type: application/json\r\n", "["+strings.Repeat(`{"name":"files/a/b","bytes":1},`, fewest)+`{"name":"files/a/b"}]`)
	for _, seed := range []string{
		answer("", ""), page + page,
		answer("X-Object-Manifest: c/segments/a\r\n", "") + answer("Content-Type: application/json\r\n", `[{"name":"segments/a/9999999999999999","bytes":5,"hash":"x"}]`),
		answer("X-Static-Large-Object: true\r\n", "") + answer("", `[{"name":"/c/segments/a/1","bytes":-1,"sub_slo":true}]`),
		answer("Content-Type: application/json\r\n", `[{"subdir":"files/a/b/"},{"name":"files/a/c","bytes":1,"last_modified":"never"}]`),
		answer("X-Object-Meta-Registry-Groups: 5\r\nX-Object-Meta-Registry-Own: true\r\n", ""),
		"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", list + "[null]",
		`HTTP/1.1 200 OK` + "\r\nContent-Length: 60\r\n\r\n" + `{"slo":{"max_manifest_segments":-1},"bulk_delete":{},"x":11}`,
	} {
		for operation := range byte(8) {
			f.Add(operation, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, operation byte, answers []byte) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		told := &script{answers: bufio.NewReader(bytes.NewReader(answers)), cancel: cancel}
		conn := connection(Parameters{})
		conn.StorageUrl, conn.AuthToken, conn.Transport = "http://swift.test/v1/account", "token", told
		d := &driver{chunkSize: 1 << 20, store: &store{
			conn: conn, container: "c", fresh: newFresh(), patience: time.Nanosecond, endurance: time.Nanosecond,
		}}
		operate(ctx, d, operation)
		if told.asked > maxAsked {
			t.Errorf("asked %d times", told.asked)
		}
	})
}

func operate(ctx context.Context, d *driver, operation byte) {
	switch operation % 8 {
	case 0:
		_, _ = d.GetContent(ctx, "/a")
	case 1:
		_, _ = d.Stat(ctx, "/a")
	case 2:
		_, _ = d.List(ctx, "/a")
	case 3:
		_ = d.Delete(ctx, "/a")
	case 4:
		_ = d.Move(ctx, "/a", "/b")
	case 5:
		_ = d.Walk(ctx, "/", func(storagedriver.FileInfo) error { return nil })
	case 6:
		if reader, err := d.Reader(ctx, "/a", 1); err == nil {
			_, _ = io.Copy(io.Discard, reader)
			_ = reader.Close()
		}
	case 7:
		if writer, err := d.Writer(ctx, "/_uploads/a", true); err == nil {
			_, _ = writer.Write([]byte("content"))
			_ = writer.Commit(ctx)
			_ = writer.Close()
		}
	}
}
