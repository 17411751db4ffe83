package storagetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"
	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"docker-registry-operator/internal/registryd/journal"
	"docker-registry-operator/internal/registryd/swift"
)

// stock answers as distribution's own application does on the same storage.
func stock(t *testing.T, r *registry) *client {
	t.Helper()
	registerSwift()
	own := maps.Clone(r.configuration)
	delete(own, "health")
	text, err := yaml.Marshal(own)
	must(t, err)
	conf, err := configuration.Parse(bytes.NewReader(text))
	must(t, err)
	log, err := journal.New(io.Discard).Logger(conf.Log)
	must(t, err)
	app := handlers.NewApp(journal.WithLogger(t.Context(), log), conf)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app.ServeHTTP(w, r.WithContext(journal.WithLogger(r.Context(), log)))
	}))
	t.Cleanup(func() {
		server.Close()
		must(t, app.Shutdown())
	})
	return newClient(t, server.URL)
}

var registerSwift = sync.OnceFunc(swift.Register)

// told is an answer that can be compared.
type told struct {
	Status int
	Header http.Header
	Body   string
	Cut    bool
}

// tell asks with a header, if it has a name.
func (c *client) tell(method, path, name, value string) told {
	header := map[string]string{}
	if name != "" {
		header[name] = value
	}
	got, err := c.do(request{method: method, path: path, header: header})
	text := string(got.body)
	if kind, boundary, ok := strings.Cut(got.header.Get("Content-Type"), "; boundary="); ok {
		text = strings.ReplaceAll(text, boundary, "BOUNDARY")
		got.header.Set("Content-Type", kind)
	}
	if len(text) > kibibyte {
		text = digestOf([]byte(text))
	}
	for _, name := range []string{"Date", "Location"} { // where storage sends clients depends on the time
		got.header.Del(name)
	}
	return told{got.status, got.header, text, err != nil}
}

// TestPullAsStock compares the answers to pulls of blobs with those of a stock registry on the same storage.
func TestPullAsStock(t *testing.T) {
	each(t, remote, func(t *testing.T, b *backend) {
		ours := startRegistry(t, b, b.storage(directory(t), b.address))
		direct := stock(t, ours)
		small, large := newBlob(t, 's', 1000), newBlob(t, 't', 24*mebibyte+5)
		must(t, ours.client().pushWhole("app", small))
		must(t, ours.client().pushWhole("app", large))
		at := func(repository, digest string) string { return "/v2/" + repository + "/blobs/" + digest }
		for _, row := range []struct{ name, path, header, value string }{
			{"small", at("app", small.digest), "", ""},
			{"large", at("app", large.digest), "", ""},
			{"no link", at("other", small.digest), "", ""},
			{"no blob", at("app", digestOf([]byte("absent"))), "", ""},
			{"same etag", at("app", large.digest), "If-None-Match", `"` + large.digest + `"`},
			{"other etag", at("app", small.digest), "If-None-Match", `"x"`},
			{"range", at("app", large.digest), "Range", "bytes=10-99"},
			{"range of segments", at("app", large.digest), "Range", "bytes=4000000-22000000"},
			{"last bytes", at("app", large.digest), "Range", "bytes=-7"},
			{"ranges", at("app", large.digest), "Range", "bytes=0-9,12000000-12000009,-3"},
			{"range after the end", at("app", small.digest), "Range", "bytes=1000-"},
			{"bad range", at("app", small.digest), "Range", "bytes=a-b"},
		} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				want := direct.tell(method, row.path, row.header, row.value)
				if diff := cmp.Diff(want, ours.client().tell(method, row.path, row.header, row.value)); diff != "" {
					t.Errorf("%s %s (-stock +ours):\n%s", method, row.name, diff)
				}
			}
		}
	})
}

// TestRedirectAsStock sends clients to the storage as a stock registry does.
func TestRedirectAsStock(t *testing.T) {
	each(t, remote, func(t *testing.T, b *backend) {
		redirecting := section{"storage": section{"redirect": section{"disable": false}}}
		ours := startRegistry(t, b, b.storage(directory(t), b.address), redirecting)
		layer := newBlob(t, 'r', 1000)
		must(t, ours.client().pushWhole("app", layer))
		direct, follower := stock(t, ours), ours.client()
		for _, c := range []*client{direct, follower} {
			c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		}
		for _, path := range []string{"/v2/app/blobs/" + layer.digest, "/v2/other/blobs/" + layer.digest} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				if diff := cmp.Diff(direct.tell(method, path, "", ""), follower.tell(method, path, "", "")); diff != "" {
					t.Errorf("%s %s (-stock +ours):\n%s", method, path, diff)
				}
			}
		}
	})
}

// TestOpenedObjects counts what the storage is asked for: a range is one request, and a HEAD reads no object.
func TestOpenedObjects(t *testing.T) {
	each(t, remote, func(t *testing.T, b *backend) {
		reads := &counter{target: b.address}
		address := reads.start(t)
		c := startRegistry(t, b, b.storage(directory(t), address)).client()
		layer := newBlob(t, 'o', 24*mebibyte+5)
		must(t, c.pushWhole("app", layer))
		for _, row := range []struct {
			method, header, value string
			want                  int
		}{
			{http.MethodHead, "", "", 0},
			{http.MethodHead, "Range", "bytes=10-99", 0},
			{http.MethodGet, "If-None-Match", `"` + layer.digest + `"`, 0},
			{http.MethodGet, "Range", "bytes=99999999-", 0},
			{http.MethodGet, "", "", 1},
			{http.MethodGet, "Range", "bytes=10-99", 1},
			{http.MethodGet, "Range", "bytes=0-9,12000000-12000009", 2},
		} {
			reads.take()
			c.tell(row.method, "/v2/app/blobs/"+layer.digest, row.header, row.value)
			if got := reads.take(); len(got) != row.want {
				t.Errorf("%s with %s %s reads %q, want %d requests", row.method, row.header, row.value, got, row.want)
			}
		}
	})
}

// counter stands before an engine and counts what is read of blobs.
type counter struct {
	target string

	mu   sync.Mutex
	read []string
}

// start returns the address of c.
func (c *counter) start(t *testing.T) string {
	t.Helper()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: c.target})
			r.Out.Host = r.In.Host
			if r.In.Method == http.MethodGet && strings.HasSuffix(r.In.URL.Path, "/data") && strings.Contains(r.In.URL.Path, "/blobs/") {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.read = append(c.read, fmt.Sprint(r.In.URL.Path, " ", r.In.Header.Get("Range")))
			}
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// take returns what was read since the last time.
func (c *counter) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.read = nil }()
	return slices.Clone(c.read)
}

// TestTruncatedIsBrokenOff cuts an object of which a cache knows the length.
func TestTruncatedIsBrokenOff(t *testing.T) {
	each(t, remote, func(t *testing.T, b *backend) {
		caching := section{"storage": section{"cache": section{"blobdescriptor": "inmemory"}}}
		c := startRegistry(t, b, b.storage(directory(t), b.address), caching).client()
		layer := newBlob(t, 'k', 3*mebibyte)
		must(t, c.pushWhole("app", newBlob(t, 'l', kibibyte)))
		file := written(t, b, func() { must(t, c.pushWhole("app", layer)) })
		must(t, c.pull("app", layer))
		halve(t, file)
		got, err := c.do(request{method: http.MethodGet, path: "/v2/app/blobs/" + layer.digest, into: io.Discard})
		if err == nil && got.status/100 == 2 {
			t.Errorf("the truncated blob ends as if it were whole: %v", got.header)
		}
		t.Logf("the truncated blob: %d, %v", got.status, err)
	})
}

// TestMemoryOfPulls has a hundred clients in the middle of a pull, and then leave. distribution would keep 400 MiB
// for them.
func TestMemoryOfPulls(t *testing.T) {
	const clients, bound = 100, 64 * mebibyte
	each(t, []*backend{onS3}, func(t *testing.T, b *backend) {
		r := startRegistry(t, b, b.storage(directory(t), b.address))
		layer := newBlob(t, 'h', 64*mebibyte)
		must(t, r.client().pushWhole("app", layer))
		before := r.heap()
		var answers []io.Closer
		for range clients {
			answer, err := http.Get("http://" + r.address + "/v2/app/blobs/" + layer.digest)
			must(t, err)
			defer answer.Body.Close()
			answers = append(answers, answer.Body)
			_, err = io.CopyN(io.Discard, answer.Body, mebibyte)
			must(t, err)
		}
		during := r.heap()
		t.Logf("heap: %d MiB before, %d MiB with %d pulls", before/mebibyte, during/mebibyte, clients)
		if during > before+bound {
			t.Errorf("%d pulls take %d MiB of heap, want at most %d", clients, (during-before)/mebibyte, bound/mebibyte)
		}
		for _, answer := range answers {
			must(t, answer.Close())
		}
		eventually(t, func() (string, bool) {
			running := r.debugged("/debug/pprof/goroutine?debug=2")
			return running, !strings.Contains(running, "ServeBlob")
		})
		must(t, r.client().pull("app", layer))
	})
}

// heap is how many bytes of the heap of the registry are used or not yet collected.
func (r *registry) heap() int64 {
	r.t.Helper()
	var variables struct {
		Memory struct{ HeapInuse int64 } `json:"memstats"`
	}
	must(r.t, json.Unmarshal([]byte(r.debugged("/debug/vars")), &variables))
	return variables.Memory.HeapInuse
}

func (r *registry) debugged(path string) string {
	r.t.Helper()
	got, err := newClient(r.t, "http://"+r.debug).want(http.StatusOK, request{method: http.MethodGet, path: path})
	must(r.t, err)
	return string(got.body)
}
