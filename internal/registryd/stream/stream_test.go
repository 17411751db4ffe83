package stream

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/notifications"
	v2 "github.com/distribution/distribution/v3/registry/api/v2"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/cache/memory"
	"github.com/distribution/reference"
	events "github.com/docker/go-events"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"docker-registry-operator/internal/registryd/layout"
)

// digits is a blob of which the place of every byte is known.
var digits = bytes.Repeat([]byte("0123456789"), 20_000)

func ranges(value string) http.Header { return http.Header{"Range": {value}} }

// TestAsStock compares the answers with those of distribution's own registry, and counts the objects that are opened
// for a GET. A HEAD opens none.
func TestAsStock(t *testing.T) {
	s := newStorage()
	stock := httptest.NewServer(serving(t, s.registry(t)))
	defer stock.Close()
	ours := httptest.NewServer(serving(t, s.streaming(t)))
	defer ours.Close()
	large, nothing := s.put(t, digits).String(), s.put(t, nil).String()
	tagged := http.Header{"If-None-Match": {`"` + large + `"`}}
	for _, row := range []struct {
		name, path string
		header     http.Header
		opened     []int64
	}{
		{"whole", "/app/" + large, nil, []int64{0}},
		{"empty", "/app/" + nothing, nil, nil},
		{"absent", "/app/" + digest.FromString("absent").String(), nil, nil},
		{"no link", "/other/" + large, nil, nil},
		{"same etag", "/app/" + large, tagged, nil},
		{"other etag", "/app/" + large, http.Header{"If-None-Match": {`"x"`}}, []int64{0}},
		{"range", "/app/" + large, ranges("bytes=10-19"), []int64{10}},
		{"long range", "/app/" + large, ranges("bytes=0-150000"), []int64{0}},
		{"open range", "/app/" + large, ranges("bytes=199990-"), []int64{199_990}},
		{"last bytes", "/app/" + large, ranges("bytes=-5"), []int64{199_995}},
		{"range beyond the end", "/app/" + large, ranges("bytes=5-999999"), []int64{5}},
		{"ranges", "/app/" + large, ranges("bytes=0-1,2-5,8-9,-3"), []int64{0, 8, 199_997}},
		{"too many ranges", "/app/" + large, ranges("bytes=0-150000,1-150000"), []int64{0}},
		{"range after the end", "/app/" + large, ranges("bytes=200000-"), nil},
		{"range of nothing", "/app/" + nothing, ranges("bytes=0-5"), nil},
		{"bad range", "/app/" + large, ranges("bytes=a-b"), nil},
		{"range if same", "/app/" + large, http.Header{"Range": {"bytes=1-2"}, "If-Range": {`"` + large + `"`}}, []int64{1}},
		{"range if other", "/app/" + large, http.Header{"Range": {"bytes=1-2"}, "If-Range": {`"x"`}}, []int64{0}},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			t.Run(method+" "+row.name, func(t *testing.T) {
				want := ask(t, stock, method, row.path, row.header)
				s.account()
				if diff := cmp.Diff(want, ask(t, ours, method, row.path, row.header)); diff != "" {
					t.Errorf("answer (-stock +ours):\n%s", diff)
				}
				if method == http.MethodHead {
					row.opened = nil
				}
				if opened, _ := s.account(); !cmp.Equal(opened, row.opened) {
					t.Errorf("objects were opened at %v, want %v", opened, row.opened)
				}
			})
		}
	}
}

// TestRedirects sends clients elsewhere as distribution's own registry does.
func TestRedirects(t *testing.T) {
	s := newStorage()
	stock := httptest.NewServer(serving(t, s.registry(t)))
	defer stock.Close()
	ours := httptest.NewServer(serving(t, s.streaming(t)))
	defer ours.Close()
	path := "/app/" + s.put(t, digits).String()
	for _, s.elsewhere = range []string{"https://elsewhere.test/blob", "none"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if diff := cmp.Diff(ask(t, stock, method, path, nil), ask(t, ours, method, path, nil)); diff != "" {
				t.Errorf("%s to %s (-stock +ours):\n%s", method, s.elsewhere, diff)
			}
		}
	}
	if opened, _ := s.account(); opened != nil {
		t.Errorf("objects were opened at %v", opened)
	}
}

// TestLooksOnce pulls twice, and notifies of each: storage is asked for the link and for the length, each time.
func TestLooksOnce(t *testing.T) {
	s := newStorage()
	handler := serving(t, listening{s.streaming(t)})
	path := "/app/" + s.put(t, digits).String()
	for range 2 {
		s.looks = 0
		handler.ServeHTTP(discarding{http.Header{}}, httptest.NewRequest(http.MethodGet, path, nil))
		if s.looks != 2 {
			t.Errorf("storage was looked at %d times", s.looks)
		}
	}
}

// listening is a registry that notifies of pulls as distribution's application does.
type listening struct{ distribution.Namespace }

// Repository is one that notifies.
func (l listening) Repository(ctx context.Context, name reference.Named) (distribution.Repository, error) {
	found, err := l.Namespace.Repository(ctx, name)
	bridge := notifications.NewBridge(v2.NewURLBuilder(&url.URL{}, false), notifications.SourceRecord{},
		notifications.ActorRecord{}, notifications.RequestRecord{}, nobody{}, false)
	listened, _ := notifications.Listen(found, nil, bridge)
	return listened, err
}

// nobody receives events.
type nobody struct{}

func (nobody) Write(events.Event) error { return nil }
func (nobody) Close() error             { return nil }

// TestUnmetCondition gets an answer that can be read to its end; that of distribution announces the blob's length.
func TestUnmetCondition(t *testing.T) {
	s := newStorage()
	server := httptest.NewServer(serving(t, s.streaming(t)))
	defer server.Close()
	got := ask(t, server, http.MethodGet, "/app/"+s.put(t, digits).String(), http.Header{"If-Match": {`"x"`}})
	if got.Status != "412 Precondition Failed" || got.Length != 0 || got.Cut {
		t.Errorf("answer %+v", got)
	}
}

// TestDamage has storage fail before the first byte, which is an error of the API, and behind it, which no client
// may take for the end.
func TestDamage(t *testing.T) {
	cut := func(n int64) func(context.Context, io.Reader, int64) (io.Reader, error) {
		return func(_ context.Context, good io.Reader, _ int64) (io.Reader, error) {
			return io.LimitReader(good, n), nil
		}
	}
	for _, row := range []struct {
		name   string
		header http.Header
		damage func(context.Context, io.Reader, int64) (io.Reader, error)
		status string // "" is that the answer is broken off
	}{
		{"cannot be opened", nil, func(context.Context, io.Reader, int64) (io.Reader, error) { return nil, errStorage }, "500 Internal Server Error"},
		{"fails at once", nil, func(_ context.Context, good io.Reader, _ int64) (io.Reader, error) {
			return failing(good, 0, errStorage), nil
		}, "500 Internal Server Error"},
		{"is empty", nil, cut(0), "500 Internal Server Error"},
		{"is short", nil, cut(100), ""},
		{"lacks the last byte", nil, cut(int64(len(digits)) - 1), ""},
		{"lacks a byte of a range", ranges("bytes=10-200"), cut(190), ""},
		{"fails in the middle", nil, func(_ context.Context, good io.Reader, _ int64) (io.Reader, error) {
			return failing(good, 100_000, errStorage), nil
		}, ""},
		{"fails in the second range", ranges("bytes=0-1,5-6"), func(_ context.Context, good io.Reader, offset int64) (io.Reader, error) {
			if offset == 5 {
				return nil, errStorage
			}
			return good, nil
		}, ""},
		{"fails behind a range", ranges("bytes=0-99"), func(_ context.Context, good io.Reader, _ int64) (io.Reader, error) {
			return failing(good, 100, errStorage), nil
		}, "206 Partial Content"},
	} {
		for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(row.name+" "+version, func(t *testing.T) {
				s := newStorage()
				server := httptest.NewUnstartedServer(serving(t, s.streaming(t)))
				server.EnableHTTP2 = version == "HTTP/2.0"
				server.StartTLS()
				defer server.Close()
				path := "/app/" + s.put(t, digits).String()
				s.damage = row.damage
				got := ask(t, server, http.MethodGet, path, row.header)
				if row.status == "" && !got.Cut || row.status != "" && (got.Cut || got.Status != row.status) {
					t.Errorf("answer %s of %d bytes, cut: %t, want %q", got.Status, len(got.Body), got.Cut, row.status)
				}
				for _, name := range []string{"Etag", "Cache-Control", "Docker-Content-Digest", "Accept-Ranges"} {
					if strings.HasPrefix(row.status, "5") && got.Header.Get(name) != "" {
						t.Errorf("the error has the header %s", name)
					}
				}
				server.Close()
				if _, open := s.account(); open != 0 {
					t.Errorf("%d objects are still open", open)
				}
			})
		}
	}
}

// TestCachedDescriptor has the cache know a blob of which the object becomes shorter and is lost.
func TestCachedDescriptor(t *testing.T) {
	s := newStorage()
	cache := storage.BlobDescriptorCacheProvider(memory.NewInMemoryBlobDescriptorCacheProvider(memory.DefaultSize))
	server := httptest.NewServer(serving(t, s.streaming(t, cache)))
	defer server.Close()
	blob := s.put(t, digits)
	path := "/app/" + blob.String()
	if got := ask(t, server, http.MethodGet, path, nil); got.Body != string(digits) {
		t.Fatalf("answer %+v", got)
	}
	if err := s.PutContent(t.Context(), layout.Blob(blob), digits[:100_000]); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, server, http.MethodGet, path, nil); !got.Cut || got.Length != int64(len(digits)) {
		t.Errorf("answer of %d bytes to a blob that has become short, cut: %t", got.Length, got.Cut)
	}
	if err := s.Delete(t.Context(), layout.Blob(blob)); err != nil {
		t.Fatal(err)
	}
	got := ask(t, server, http.MethodGet, path, nil)
	if got.Status != "404 Not Found" || !strings.Contains(got.Body, "BLOB_UNKNOWN") || got.Cut {
		t.Errorf("answer to a blob that is lost: %+v", got)
	}
}

// TestClientLeaves has a client leave while storage is waited for: the object is closed, whatever was asked for.
func TestClientLeaves(t *testing.T) {
	for _, header := range []http.Header{nil, ranges("bytes=10-199999"), ranges("bytes=0-1,5-199000")} {
		s := newStorage()
		server := httptest.NewServer(serving(t, s.streaming(t)))
		defer server.Close()
		request, err := http.NewRequest(http.MethodGet, server.URL+"/app/"+s.put(t, digits).String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = header
		s.damage = func(ctx context.Context, good io.Reader, _ int64) (io.Reader, error) {
			return io.MultiReader(io.LimitReader(good, 100_000), waiting{ctx}), nil
		}
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, response.Body, 50_000); err != nil {
			t.Fatal(err)
		}
		opened, open := s.account()
		if open != 1 {
			t.Fatalf("%d objects are open of those at %v", open, opened)
		}
		_ = response.Body.Close()
		for range opened {
			<-s.closed
		}
	}
}

// waiting is storage that gives nothing as long as somebody waits.
type waiting struct{ ctx context.Context }

// Read waits.
func (w waiting) Read([]byte) (int, error) {
	<-w.ctx.Done()
	return 0, w.ctx.Err()
}

// TestMemory wants a pull to allocate much less than the 4 MiB that distribution allocates, whatever is asked for.
func TestMemory(t *testing.T) {
	const pulls, bound = 100, 256 << 10
	s := newStorage()
	path := "/app/" + s.put(t, bytes.Repeat(digits, 50)).String()
	handler := serving(t, s.streaming(t))
	for _, header := range []http.Header{{}, ranges("bytes=10-"), ranges("bytes=0-5000000,6000000-9000000")} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range pulls {
			request := httptest.NewRequest(http.MethodGet, path, nil)
			request.Header = header
			handler.ServeHTTP(discarding{http.Header{}}, request)
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / pulls; each > bound {
			t.Errorf("a pull with %v allocates %d KiB, want at most %d", header, each>>10, bound>>10)
		}
	}
}

// discarding is an answer that nobody reads.
type discarding struct{ header http.Header }

func (d discarding) Header() http.Header         { return d.header }
func (d discarding) Write(p []byte) (int, error) { return len(p), nil }
func (d discarding) WriteHeader(int)             {}

// TestRemovesRepositories keeps what distribution's application asks a registry for besides.
func TestRemovesRepositories(t *testing.T) {
	s := newStorage()
	for _, registry := range []distribution.Namespace{s.registry(t), s.streaming(t)} {
		s.put(t, digits)
		name, err := reference.WithName("app")
		if err != nil {
			t.Fatal(err)
		}
		remover, ok := registry.(distribution.RepositoryRemover)
		if !ok {
			t.Fatalf("%T removes no repositories", registry)
		}
		if err := remover.Remove(t.Context(), name); err != nil {
			t.Error(err)
		}
		if _, err := s.List(t.Context(), "/docker/registry/v2/repositories/app"); !layout.Missing(err) {
			t.Errorf("the repository is still there: %v", err)
		}
	}
}
