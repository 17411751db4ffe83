package accesslog_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/handlers"

	"docker-registry-operator/internal/registryd/accesslog"
)

// TestLinesAsStock compares lines with those of the handler that the stock registry uses.
func TestLinesAsStock(t *testing.T) {
	stamp := regexp.MustCompile(`\[[^]]*\]`)
	for _, test := range []struct {
		name, method, uri, remote, referer, agent string
		status                                    int
		body                                      string
	}{
		{"plain", "GET", "/v2/app/manifests/latest", "10.0.0.1:1234", "", "docker/28", 200, "hello"},
		{"nothing", "HEAD", "/v2/", "10.0.0.1:1234", "", "", 200, ""},
		{"error", "DELETE", "/v2/a?b=c&d=%20", "[::1]:1", "http://a.test/", "x", 404, "{}"},
		{"odd", "GET", "/v2/", "unix", `a"b\c`, "tab\there \u00e9 \x01 \xff \u202e", 200, "x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.URL.Path = "/changed"
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			line := func(handler http.Handler, out *bytes.Buffer) string {
				r := httptest.NewRequest(test.method, test.uri, nil)
				r.RemoteAddr = test.remote
				r.Header.Set("Referer", test.referer)
				r.Header.Set("User-Agent", test.agent)
				handler.ServeHTTP(httptest.NewRecorder(), r)
				return stamp.ReplaceAllString(out.String(), "[TIME]")
			}
			var stock, ours bytes.Buffer
			want := line(handlers.CombinedLoggingHandler(&stock, next), &stock)
			got := line(accesslog.Handler(&ours, next), &ours)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("line (-stock +ours):\n%s", diff)
			}
		})
	}
}

// TestUser names the user, in one word whatever the name is.
func TestUser(t *testing.T) {
	for name, want := range map[string]string{"": "-", "ci": "ci", "a b": `"a b"`, "a\n1": `"a\n1"`, `a"b`: `"a\"b"`} {
		var out bytes.Buffer
		handler := accesslog.Handler(&out, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			accesslog.SetUser(r.Context(), name)
		}))
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		if got, _, _ := strings.Cut(out.String(), " ["); got != "192.0.2.1 - "+want {
			t.Errorf("user %q: %s", name, got)
		}
	}
}

// TestFileCounts sends a file by a way that passes no bytes through the handler.
func TestFileCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	server := httptest.NewServer(accesslog.Handler(&out, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, path)
	})))
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Error(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	server.Close()
	if !strings.Contains(out.String(), `" 200 100000 "`) {
		t.Errorf("line: %s", out.String())
	}
}

func BenchmarkHandler(b *testing.B) {
	handler := accesslog.Handler(io.Discard, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("GET", "/v2/app/manifests/latest", nil)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(w, r)
	}
}
