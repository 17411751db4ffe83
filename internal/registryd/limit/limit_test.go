package limit

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var quiet = slog.New(slog.DiscardHandler)

// TestBoundsFit adds up what the busiest of servers opens: it must be less than there may be.
func TestBoundsFit(t *testing.T) {
	for _, descriptors := range []uint64{256, 1024, 20000, 1 << 20, 1 << 63} {
		b := For(descriptors)
		pulls := b.Requests - b.Uploads
		if open := b.Connections + b.Overflow + pulls + 3*b.Uploads; uint64(open) > descriptors || b.Uploads < 16 {
			t.Errorf("%d descriptors: bounds %+v open %d", descriptors, b, open)
		}
	}
	if n, err := Descriptors(); err != nil || n == 0 {
		t.Errorf("Descriptors: %d, %v", n, err)
	}
}

type refusal struct {
	Status  int
	Code    string
	Message string
}

func refusalOf(t *testing.T, response *http.Response) refusal {
	t.Helper()
	defer response.Body.Close()
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if response.StatusCode < 400 {
		return refusal{Status: response.StatusCode}
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || len(body.Errors) != 1 {
		t.Fatalf("answer %d is no error of the specification: %v", response.StatusCode, err)
	}
	return refusal{response.StatusCode, body.Errors[0].Code, body.Errors[0].Message}
}

// TestBodies sends bodies of all sizes, with and without their length, to a handler that
// answers an unreadable body as distribution does.
func TestBodies(t *testing.T) {
	handler := Bodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.Header().Set("Content-Length", "3")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "bad")
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	tooLarge := refusal{http.StatusRequestEntityTooLarge, "SIZE_INVALID", "a manifest may have 4 MiB"}
	created := refusal{Status: http.StatusCreated}
	everyProtocol(t, handler, func(t *testing.T, server *httptest.Server) {
		for _, test := range []struct {
			name, path string
			size       int64
			told       bool
			want       refusal
		}{
			{"manifest", "/v2/a/manifests/x", ManifestBytes, true, created},
			{"manifest in chunks", "/v2/a/manifests/x", ManifestBytes, false, created},
			{"large manifest", "/v2/a/manifests/x", ManifestBytes + 1, true, tooLarge},
			{"large manifest in chunks", "/v2/a/manifests/x", ManifestBytes + 1, false, tooLarge},
			{"anything else", "/token", ManifestBytes + 1, true, tooLarge},
			{"blob", "/v2/a/blobs/uploads/1", ManifestBytes + 1, true, created},
		} {
			body := io.LimitReader(zeros{}, test.size)
			request, err := http.NewRequestWithContext(t.Context(), "PUT", server.URL+test.path, body)
			if err != nil {
				t.Fatal(err)
			}
			if test.told {
				request.ContentLength = test.size
			}
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			if diff := cmp.Diff(test.want, refusalOf(t, response)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.name, diff)
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestPaths(t *testing.T) {
	longest := strings.Repeat("tags/manifests/", 17)[:NameBytes-1] + "x"
	for target, want := range map[string]bool{
		"/": true, "/v2/": true, "/v2/a/b/tags/list?n=1&last=%00": true, "/v2/a/blobs/uploads/": true,
		"/v2/a%2Fb/manifests/sha256%3Aabc": true, "/v2/a.b/..c/manifests/x..": true,
		"/v2//a/tags/list": false, "//v2/": false, "/v2/a/": true, "/v2/a//": false,
		"/v2/a/../b/tags/list": false, "/v2/a/%2e%2e/b/tags/list": false, "/v2/a/%2E./b": false, "/v2/./": false,
		"/v2/a%2f..%2fb": false, "/v2/..": false, "/v2/a/.": false, "/v2/..%5cb/tags/list": false,
		"/v2/a%00/tags/list": false, "/v2/a%0a/tags/list": false, "/v2/a%20b": false, "/v2/%c3%a9": false,
		"/v2/" + longest + "/tags/list": true, "/v2/a" + longest + "/tags/list": false, "/v2/_catalog": true,
		"/p/v2/a" + longest + "/blobs/uploads/": false, "/v2/a" + longest + "/referrers/sha256:a": false,
		"/v2/%ff": false, "/v2/a%7f": false, "/v2/a%252e%252e/b": true,
	} {
		answer := httptest.NewRecorder()
		Paths(http.NotFoundHandler()).ServeHTTP(answer, httptest.NewRequest("GET", target, nil))
		if passed := answer.Code == http.StatusNotFound; passed != want {
			t.Errorf("%s answered %d", target, answer.Code)
		}
		if !want {
			if got := refusalOf(t, answer.Result()); got.Code != "NAME_INVALID" || got.Status != http.StatusBadRequest {
				t.Errorf("%s: %+v", target, got)
			}
		}
	}
}

// FuzzAmbiguous makes sure that a path which is accepted is the same to whoever reads it.
func FuzzAmbiguous(f *testing.F) {
	for _, seed := range []string{"/", "/v2/", "/v2/a/../b", "/v2//a", "/v2/a\\b", "/v2/\x00", "..", "", "/é", "/v2/a/./b/", "*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if ambiguous(in) != "" || !strings.HasPrefix(in, "/") {
			return
		}
		clean := path.Clean(in)
		if in != clean && in != clean+"/" {
			t.Errorf("%q is read as %q by some", in, clean)
		}
		if strings.ContainsAny(in, "\\\x00\r\n ") {
			t.Errorf("%q was accepted", in)
		}
	})
}

// TestCrowd fills a registry with requests that do not end.
func TestCrowd(t *testing.T) {
	running, release := make(chan bool, 8), make(chan bool)
	crowd := NewCrowd(Bounds{Requests: 3, Uploads: 1}, quiet)
	server := httptest.NewServer(crowd.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			running <- true
			<-release
		}
	})))
	defer server.Close()
	long := func(method string) {
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/long", nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if response, err := server.Client().Do(request); err == nil {
				_ = response.Body.Close() // it only has to run
			}
		}()
		<-running
	}
	check := func(method, path string, want int) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != want || (want == 503) != (response.Header.Get("Retry-After") == "5") {
			t.Errorf("%s %s: %d with Retry-After %q, want %d", method, path, response.StatusCode, response.Header.Get("Retry-After"), want)
		}
	}
	long("PUT")
	check("PUT", "/v2/", 503)
	check("POST", "/v2/", 503)
	check("GET", "/v2/", 200)
	long("GET")
	long("GET")
	check("GET", "/v2/", 503)
	check("GET", "/", 200)
	close(release)
	for crowd.requests.Load() > 0 && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	check("PUT", "/v2/", 200)
}

func TestSeldom(t *testing.T) {
	var s Seldom
	now := time.Now()
	type line struct {
		missed int
		due    bool
	}
	var got []line
	for _, after := range []time.Duration{0, 1, seldomTime - 1, seldomTime, seldomTime + 1} {
		missed, due := s.Due(now.Add(after))
		got = append(got, line{missed, due})
	}
	want := []line{{0, true}, {0, false}, {0, false}, {2, true}, {0, false}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
