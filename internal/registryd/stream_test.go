package registryd

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/notifications"
	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/distribution/distribution/v3/registry/handlers"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	events "github.com/docker/go-events"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"docker-registry-operator/internal/registryd/journal"
	"docker-registry-operator/internal/registryd/layout"
	"docker-registry-operator/internal/registryd/serve"
)

// streamedConfig lets the application answer all pulls.
const streamedConfig = `version: 0.1
log: {level: error}
http: {headers: {X-Content-Type-Options: [nosniff]}, secret: s3cret}
storage: {inmemory: {}, maintenance: {uploadpurging: {enabled: false}}, cache: {blobdescriptor: inmemory}}
auth: {silly: {realm: r, service: s}}
`

// watched is an application that keeps account of what it tells and asks.
type watched struct {
	http.Handler
	told  []string // of blobs
	asked int      // of the access controller
}

// watch keeps account of app, which handler answers by.
func watch(t *testing.T, app *handlers.App, handler http.Handler) *watched {
	t.Helper()
	w := &watched{Handler: handler}
	if err := (&application{App: app}).redirectEvents(w); err != nil {
		t.Fatal(err)
	}
	field, err := appField(app, "accessController")
	if err != nil {
		t.Fatal(err)
	}
	field.Set(reflect.ValueOf(countingController{field.Interface().(auth.AccessController), w}))
	return w
}

// Close is for events.Sink.
func (w *watched) Close() error { return nil }

// observed is an answer with what came of it.
type observed struct {
	Status int
	Header http.Header
	Body   string
	Told   []string
	Asked  int
}

func (w *watched) ask(method, path string, header http.Header) observed {
	w.told, w.asked = nil, 0
	request, answer := httptest.NewRequest(method, path, nil), httptest.NewRecorder()
	request.Header = header
	w.ServeHTTP(answer, request)
	body := answer.Body.String()
	if kind, boundary, ok := strings.Cut(answer.Header().Get("Content-Type"), "; boundary="); ok {
		body = strings.ReplaceAll(body, boundary, "BOUNDARY")
		answer.Header().Set("Content-Type", kind)
	}
	return observed{answer.Code, answer.Header(), body, w.told, w.asked}
}

// keep stores a blob of the repository "team/app".
func keep(t *testing.T, app *handlers.App, content []byte) {
	t.Helper()
	field, err := appField(app, "driver")
	if err != nil {
		t.Fatal(err)
	}
	driver, blob := field.Interface().(storagedriver.StorageDriver), digest.FromBytes(content)
	if err := driver.PutContent(t.Context(), layout.Blob(blob), content); err != nil {
		t.Fatal(err)
	}
	if err := layout.Link(t.Context(), driver, layout.Layer("team/app", blob), blob); err != nil {
		t.Fatal(err)
	}
}

type countingController struct {
	auth.AccessController
	counted *watched
}

// Authorized counts.
func (c countingController) Authorized(r *http.Request, access ...auth.Access) (*auth.Grant, error) {
	c.counted.asked++
	return c.AccessController.Authorized(r, access...)
}

// Write takes an event.
func (w *watched) Write(event events.Event) error {
	e := event.(notifications.Event)
	w.told = append(w.told, strings.Join([]string{
		e.Action, e.Target.Repository, e.Target.MediaType, e.Target.Digest.String(), e.Actor.Name, e.Request.Method,
	}, " "))
	return nil
}

// TestStreamedAsStock compares the answers of an application whose blobs are streamed with those of a stock one, what
// it notifies of, and how often it asks who may.
func TestStreamedAsStock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(path, []byte(streamedConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := newServer(Options{Config: path, Log: io.Discard}).build(path, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.close() }()
	conf, err := configuration.Parse(strings.NewReader(streamedConfig))
	if err != nil {
		t.Fatal(err)
	}
	app := handlers.NewApp(journal.WithLogger(t.Context(), g.logger), conf)
	defer func() { _ = app.Shutdown() }()
	ours := watch(t, g.app.App, g.chain(io.Discard, serve.NewManifests()))
	stock := watch(t, app, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app.ServeHTTP(w, r.WithContext(journal.WithLogger(r.Context(), g.logger)))
	}))
	content := bytes.Repeat([]byte("0123456789"), 20_000)
	keep(t, g.app.App, content)
	keep(t, app, content)
	blob := "/v2/team/app/blobs/" + digestOf(content)
	for _, row := range []struct {
		name, path string
		header     http.Header
	}{
		{"whole", blob, nil},
		{"range", blob, header("Range", "bytes=5-9")},
		{"ranges", blob, header("Range", "bytes=5-9,20-30")},
		{"range after the end", blob, header("Range", "bytes=200000-")},
		{"same etag", blob, header("If-None-Match", `"`+digestOf(content)+`"`)},
		{"absent", "/v2/team/app/blobs/" + absentDigest, nil},
		{"no link", "/v2/team/other/blobs/" + digestOf(content), nil},
		{"no digest", "/v2/team/app/blobs/sha256:0123", nil},
		{"not allowed", blob, header("Authorization", "")},
	} {
		allowed := header("Authorization", "x")
		maps.Copy(allowed, row.header)
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			t.Run(method+" "+row.name, func(t *testing.T) {
				if diff := cmp.Diff(stock.ask(method, row.path, allowed), ours.ask(method, row.path, allowed)); diff != "" {
					t.Errorf("answer (-stock +ours):\n%s", diff)
				}
			})
		}
	}
	if got := ours.ask(http.MethodGet, blob, header("Authorization", "x")); len(got.Told) != 1 || got.Asked != 1 {
		t.Errorf("told %q, asked %d times", got.Told, got.Asked)
	}
}
