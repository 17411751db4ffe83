package stream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"

	"docker-registry-operator/internal/registryd/layout"
)

// storageOf is memory that keeps account of who reads it, and that can be damaged.
type storageOf struct {
	storagedriver.StorageDriver
	elsewhere string // where clients are sent
	// damage, if there is any, takes the place of what an object has from an offset on.
	damage func(ctx context.Context, good io.Reader, offset int64) (io.Reader, error)

	mu     sync.Mutex
	opened []int64 // the offsets
	open   int
	looks  int           // at links and at objects
	closed chan struct{} // gets a value for each object that is closed
}

func newStorage() *storageOf {
	return &storageOf{StorageDriver: inmemory.New(), closed: make(chan struct{}, 1000)}
}

var errStorage = errors.New("storage fails")

// Reader opens an object.
func (s *storageOf) Reader(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	good, err := s.StorageDriver.Reader(ctx, path, offset)
	if err != nil || !strings.HasSuffix(path, "/data") {
		return good, err
	}
	var read io.Reader = good
	if s.damage != nil {
		if read, err = s.damage(ctx, good, offset); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = append(s.opened, offset)
	s.open++
	return &object{Reader: read, storage: s}, nil
}

// GetContent reads a link.
func (s *storageOf) GetContent(ctx context.Context, path string) ([]byte, error) {
	s.look()
	return s.StorageDriver.GetContent(ctx, path)
}

// Stat looks at an object.
func (s *storageOf) Stat(ctx context.Context, path string) (storagedriver.FileInfo, error) {
	s.look()
	return s.StorageDriver.Stat(ctx, path)
}

func (s *storageOf) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
}

// RedirectURL is elsewhere.
func (s *storageOf) RedirectURL(*http.Request, string) (string, error) {
	if s.elsewhere == "none" {
		return "", errStorage
	}
	return s.elsewhere, nil
}

// account returns the offsets at which objects were opened since the last time, and how many are open.
func (s *storageOf) account() ([]int64, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	opened := slices.Clone(s.opened)
	s.opened = nil
	return opened, s.open
}

type object struct {
	io.Reader
	storage *storageOf
}

// Close is called once.
func (o *object) Close() error {
	o.storage.mu.Lock()
	defer o.storage.mu.Unlock()
	o.storage.open--
	o.storage.closed <- struct{}{}
	return nil
}

// failing reads good and then fails with err after n bytes.
func failing(good io.Reader, n int64, err error) io.Reader {
	return io.MultiReader(io.LimitReader(good, n), erring{err})
}

type erring struct{ err error }

// Read fails.
func (e erring) Read([]byte) (int, error) { return 0, e.err }

// put stores content and links it to the repository "app".
func (s *storageOf) put(t *testing.T, content []byte) digest.Digest {
	t.Helper()
	stored := digest.FromBytes(content)
	if err := s.PutContent(t.Context(), layout.Blob(stored), content); err != nil {
		t.Fatal(err)
	}
	if err := layout.Link(t.Context(), s, layout.Layer("app", stored), stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

// registry is distribution's own on s.
func (s *storageOf) registry(t *testing.T, options ...storage.RegistryOption) distribution.Namespace {
	t.Helper()
	made, err := storage.NewRegistry(t.Context(), s, append(options, storage.EnableRedirect)...)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// streaming is the same, but for how it sends blobs.
func (s *storageOf) streaming(t *testing.T, options ...storage.RegistryOption) distribution.Namespace {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	return New(s.registry(t, options...), Options{Driver: s, Redirect: true, Log: logrus.NewEntry(log)})
}

// serving answers at /<repository>/<digest> as the handler of distribution's application does.
func serving(t *testing.T, registry distribution.Namespace) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, text, _ := strings.Cut(r.URL.Path[1:], "/")
		named, err := reference.WithName(name)
		if err != nil {
			t.Error(err)
			return
		}
		found, err := registry.Repository(r.Context(), named)
		if err != nil {
			t.Error(err)
			return
		}
		store := found.Blobs(r.Context())
		blob, err := store.Stat(r.Context(), digest.Digest(text))
		if errors.Is(err, distribution.ErrBlobUnknown) {
			err = errcode.ErrorCodeBlobUnknown.WithDetail(text)
		} else if err == nil {
			err = store.ServeBlob(r.Context(), w, r, blob.Digest)
		}
		if err != nil {
			if _, ok := err.(errcode.Error); !ok {
				err = errcode.ErrorCodeUnknown.WithDetail(err.Error())
			}
			_ = errcode.ServeJSON(w, err)
		}
	})
}

// reply is what a client gets of an answer.
type reply struct {
	Status string
	Header http.Header
	Length int64
	Body   string
	Cut    bool // before its end
}

func ask(t *testing.T, server *httptest.Server, method, path string, header http.Header) reply {
	t.Helper()
	request, err := http.NewRequest(method, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := server.Client().Transport.RoundTrip(request)
	if err != nil {
		return reply{Status: err.Error(), Cut: true}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	response.Header.Del("Date")
	text := string(body)
	if kind, boundary, ok := strings.Cut(response.Header.Get("Content-Type"), "; boundary="); ok {
		text = strings.ReplaceAll(text, boundary, "BOUNDARY")
		response.Header.Set("Content-Type", kind)
	}
	return reply{response.Status, response.Header, response.ContentLength, text, err != nil}
}
