package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/google/go-cmp/cmp"
)

// TestMain has the process trust the certificate of httptest's servers, which it reads
// once.
func TestMain(m *testing.M) {
	server := httptest.NewTLSServer(nil)
	der := server.Certificate().Raw
	server.Close()
	dir, err := os.MkdirTemp("", "upstream")
	if err != nil {
		panic(err)
	}
	bundle := filepath.Join(dir, "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(bundle, text, 0o600); err != nil {
		panic(err)
	}
	_ = os.Setenv("SSL_CERT_FILE", bundle)
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func newUpstream(t *testing.T, conf configuration.Proxy) *Upstream {
	t.Helper()
	Open()
	u, err := New(conf, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

// ask has a client ask for path, and returns status and body of what distribution gets,
// or of what the client is told if that is an error.
func ask(t *testing.T, u *Upstream, path string) (int, string) {
	t.Helper()
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), http.MethodGet, u.Address()+path, nil)
		if err != nil {
			t.Error(err)
		}
		response, err := http.DefaultClient.Do(out)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		defer response.Body.Close()
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	})
	recorder := httptest.NewRecorder()
	u.Serve(next).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder.Code, recorder.Body.String()
}

// TestOpen gives http.DefaultClient a transport of its own, as the SDK of S3 does, and
// opens it twice.
func TestOpen(t *testing.T) {
	http.DefaultClient.Transport = &http.Transport{}
	defer func() { http.DefaultClient.Transport = nil }()
	u := newUpstream(t, configuration.Proxy{RemoteURL: "http://127.0.0.1:1"})
	Open()
	response, err := http.Get(u.Address() + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := challengesOf(response); response.StatusCode != 401 || len(got) != 1 || got[0].scheme != scheme {
		t.Errorf("distribution finds %d and %v, want one challenge that is not for it", response.StatusCode, got)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, remote := range []string{"ftp://a", "a", "http://", "http://u:hunter2@%zz"} {
		_, err := New(configuration.Proxy{RemoteURL: remote}, slog.New(slog.DiscardHandler))
		want := "cannot be a pull-through cache: proxy.remoteurl must be an http or https URL"
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", remote, err, want)
		}
	}
}

// forwarder is an HTTP proxy that asks for a password and reaches every host at one
// address.
type forwarder struct {
	target string
	mu     sync.Mutex
	seen   []string
}

func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, r.Method+" "+r.RequestURI)
	f.mu.Unlock()
	if r.Header.Get("Proxy-Authorization") != "Basic c3F1aWQ6cHIweHk=" {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	target, err := net.Dial("tcp", f.target)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer target.Close()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if r.Method == http.MethodConnect {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	} else {
		r.Header.Set("Connection", "close")
		_ = r.Write(target)
	}
	go func() { _, _ = io.Copy(target, buffered) }()
	_, _ = io.Copy(conn, target)
}

// TestProxy reaches upstreams through a proxy with and without credentials for it.
// Their names exist only there.
func TestProxy(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, password, _ := r.BasicAuth(); password != "s3cret" {
					w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				_, _ = io.WriteString(w, "content of "+r.Host+r.URL.Path)
			})
			server := httptest.NewUnstartedServer(handler)
			if scheme == "https" {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			f := &forwarder{target: server.Listener.Addr().String()}
			proxy := httptest.NewServer(f)
			defer proxy.Close()
			host := strings.TrimPrefix(proxy.URL, "http://")
			conf := configuration.Proxy{RemoteURL: scheme + "://example.com/sub/", Username: "ann", Password: "s3cret"}

			t.Setenv(strings.ToUpper(scheme)+"_PROXY", "http://squid:pr0xy@"+host)
			u := newUpstream(t, conf)
			if code, body := ask(t, u, "/v2/app/manifests/1"); code != 200 || body != "content of example.com/sub/v2/app/manifests/1" {
				t.Errorf("answered %d %s", code, body)
			}
			if health := u.probe(t.Context()); health != (Health{}) {
				t.Errorf("health is %v", health)
			}
			want := map[string]string{"http": "GET http://example.com/sub/v2/app/manifests/1", "https": "CONNECT example.com:443"}
			if f.seen[0] != want[scheme] {
				t.Errorf("proxy saw %v, want %s", f.seen, want[scheme])
			}

			t.Setenv(strings.ToUpper(scheme)+"_PROXY", "http://"+host)
			u = newUpstream(t, conf)
			if code, _ := ask(t, u, "/v2/app/manifests/1"); code != 502 {
				t.Errorf("answered %d without the proxy's password", code)
			}
			if health := u.probe(t.Context()); health.Problem != Unanswered || !strings.Contains(health.Reason, "Proxy Authentication Required") {
				t.Errorf("health without the proxy's password is %v", health)
			}

			proxy.Close()
			if health := newUpstream(t, conf).probe(t.Context()); health != (Health{Unanswered, "proxy: connection refused"}) {
				t.Errorf("health without the proxy is %v", health)
			}
		})
	}
}

// TestSilence has an upstream that takes connections and says nothing.
func TestSilence(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	u := newUpstream(t, configuration.Proxy{RemoteURL: "http://" + listener.Addr().String()})
	u.login.plain.ResponseHeaderTimeout = 50 * time.Millisecond
	if code, body := ask(t, u, "/v2/app/manifests/1"); code != 504 || !strings.Contains(body, "UNAVAILABLE") {
		t.Errorf("answered %d %s, want 504", code, body)
	}
	if held := u.heldBack(); held == nil || held.reason != timedOut {
		t.Errorf("the next client would wait too: %v", held)
	}
	if health := u.probe(t.Context()); health != (Health{Unanswered, timedOut}) {
		t.Errorf("health is %v", health)
	}
}

// TestStandstill has an upstream stop in the middle of a layer without closing it.
func TestStandstill(t *testing.T) {
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(ended)
	}))
	defer server.Close()
	u := newUpstream(t, configuration.Proxy{RemoteURL: server.URL})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.Address()+"/v2/app/blobs/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &call{upstream: u}
	response, failed := u.fetch(r, c)
	if failed != nil {
		t.Fatal(failed)
	}
	defer response.Body.Close()
	response.Body.(*body).stall = 50 * time.Millisecond
	content, err := io.ReadAll(response.Body)
	if string(content) != "half" || err == nil || err.Error() != "nothing came for 50ms" {
		t.Errorf("read %q, %v", content, err)
	}
	if c.failure() == nil || u.heldBack() != nil {
		t.Errorf("failure %v, held %v; want the one, and not the other", c.failure(), u.heldBack())
	}
	<-ended
}

// TestClientGone has a client give up, which says nothing of the upstream.
func TestClientGone(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-gone
	}))
	defer server.Close()
	defer close(gone)
	u := newUpstream(t, configuration.Proxy{RemoteURL: server.URL})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.Address()+"/v2/app/manifests/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, failed := u.fetch(r, &call{upstream: u}); failed == nil {
		t.Error("answered a client that is gone")
	}
	if held := u.heldBack(); held != nil {
		t.Errorf("the next client is refused: %v", held)
	}
}

// TestRedirect follows to another host, and tells that no credentials.
func TestRedirect(t *testing.T) {
	var told string
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told = r.Header.Get("Authorization")
		_, _ = io.WriteString(w, "stored")
	}))
	defer store.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, store.URL+"/x", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	u := newUpstream(t, configuration.Proxy{RemoteURL: server.URL, Username: "ann", Password: "s3cret"})
	if code, body := ask(t, u, "/v2/app/manifests/1"); code != 200 || body != "stored" || told != "" {
		t.Errorf("answered %d %s, and the other host was told %q", code, body, told)
	}
}

// TestUntrusted has a certificate of an authority that nobody knows.
func TestUntrusted(t *testing.T) {
	listener, err := tls.Listen("tcp", "127.0.0.1:0", selfSigned(t))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(conn).ReadByte() // makes the handshake
			_ = conn.Close()
		}
	}()
	u := newUpstream(t, configuration.Proxy{RemoteURL: "https://" + listener.Addr().String()})
	want := Health{Unanswered, "tls: failed to verify certificate: x509: certificate signed by unknown authority"}
	if diff := cmp.Diff(want, u.probe(t.Context())); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
}

func TestRelink(t *testing.T) {
	u := newUpstream(t, configuration.Proxy{RemoteURL: "https://m/sub/"})
	for link, want := range map[string]string{
		`<https://elsewhere/sub/v2/a/tags/list?last=b&n=1>; rel="next"`: `</v2/a/tags/list?last=b&n=1>; rel="next"`,
		`</sub/v2/a/tags/list?last=b>; rel="next"`:                      `</v2/a/tags/list?last=b>; rel="next"`,
		`<list?last=b>`: `<list?last=b>;`,
		``:              ``,
		`<%zz>`:         `<%zz>`,
	} {
		header := http.Header{"Link": {link}}
		if u.relink(header); header.Get("Link") != want {
			t.Errorf("%s becomes %s, want %s", link, header.Get("Link"), want)
		}
	}
}

func TestChallenges(t *testing.T) {
	header := http.Header{}
	header.Add("WWW-Authenticate", `Bearer realm="https://auth.example.com/token",service="a, b",scope="repository:a/b:pull,push",error=x`)
	header.Add("WWW-Authenticate", `Basic realm="r", Bearer realm="other"`)
	header.Add("WWW-Authenticate", ``)
	got := challengesOf(&http.Response{Header: header})
	want := []challenge{
		{"bearer", map[string]string{"realm": "https://auth.example.com/token", "service": "a, b", "scope": "repository:a/b:pull,push", "error": "x"}},
		{"basic", map[string]string{"realm": "r"}},
		{"", map[string]string{}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(challenge{})); diff != "" {
		t.Errorf("challenges (-want +got):\n%s", diff)
	}
}

func TestTrusts(t *testing.T) {
	for _, test := range []struct {
		base, realm string
		want        bool
	}{
		{"https://registry-1.docker.io", "https://auth.docker.io/token", true},
		{"https://ghcr.io", "https://ghcr.io/token", true},
		{"http://10.0.0.1:5000", "http://10.0.0.1:5000/token", true},
		{"http://10.0.0.1:5000", "https://10.0.0.1:5000/token", true},
		{"https://r.example.com", "http://r.example.com/token", false},
		{"https://r.example.com", "https://example.org/token", false},
		{"https://a.co.uk", "https://b.co.uk/token", false},
		{"http://10.0.0.1:5000", "http://10.0.0.1:5001/token", false},
		{"http://localhost:1", "http://localhost:2/token", false},
		{"https://r.example.com", "/token", false},
		{"https://r.example.com", "", false},
	} {
		base, err := url.Parse(test.base)
		if err != nil {
			t.Fatal(err)
		}
		realm, err := url.Parse(test.realm)
		if err != nil {
			t.Fatal(err)
		}
		if got := trusts(base, realm); got != test.want {
			t.Errorf("%s trusts %s: %t, want %t", test.base, test.realm, got, test.want)
		}
	}
}

func TestRepositoryOf(t *testing.T) {
	for path, want := range map[string]string{
		"/v2/":                       "",
		"/v2/app/manifests/1":        "app",
		"/sub/v2/a/b/blobs/sha256:0": "a/b",
		"/v2/a/blobs/b/tags/list":    "a/blobs/b",
		"/v2/_catalog":               "",
	} {
		if got := repositoryOf(path); got != want {
			t.Errorf("%s is of %q, want %q", path, got, want)
		}
	}
}

func TestReadToken(t *testing.T) {
	for _, test := range []struct {
		text, want string
		life       time.Duration
	}{
		{`{"token": "a", "expires_in": 300}`, "a", 300 * time.Second},
		{`{"access_token": "b"}`, "b", tokenLife},
		{`{"token": "a", "expires_in": -5}`, "a", tokenLife},
		{`{}`, "", 0},
		{`<html>`, "", 0},
	} {
		got, err := readToken(strings.NewReader(test.text))
		if got.value != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s gives %q, %v", test.text, got.value, err)
		}
		if left := time.Until(got.until); left > test.life {
			t.Errorf("%s is used for %s", test.text, left)
		}
	}
}
