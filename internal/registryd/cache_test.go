package registryd_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/registryd"
)

// TestCacheWithoutUpstream has what is cached served, and the rest refused, whatever is
// wrong with the upstream. Nothing is restarted when it is back.
func TestCacheWithoutUpstream(t *testing.T) {
	answer := func(status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "7")
			http.Error(w, "secret internals", status)
			return true
		}
	}
	for _, test := range []struct {
		name   string
		fault  func(http.ResponseWriter, *http.Request) bool // nil: it is stopped
		status int
		code   string
	}{
		{"stopped", nil, 502, "UNAVAILABLE"},
		{"error", answer(503), 502, "UNAVAILABLE"},
		{"rate", answer(429), 429, "TOOMANYREQUESTS"},
		{"denied", answer(403), 403, "DENIED"},
		{"unauthorized", answer(401), 403, "DENIED"},
		{"broken off", func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, 502, "UNAVAILABLE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOrigin(t, "")
			cached, other := o.push("app/one:1", 2048), o.push("app/two:1", 2048)
			u := start(t, o.cache())
			if err := pull(u, "app/one:1", cached); err != nil {
				t.Fatalf("pull through the cache: %v", err)
			}
			o.breakWith(test.fault)
			if test.fault == nil {
				o.stop()
			}
			digest, err := cached.Digest()
			if err != nil {
				t.Fatal(err)
			}
			for _, reference := range []string{"app/one:1", "app/one@" + digest.String()} {
				if err := pull(u, reference, cached); err != nil {
					t.Errorf("pull of what is cached: %v", err)
				}
			}
			if code, body := get(t, u.url("/v2/app/one/tags/list")); code != 200 || !strings.Contains(body, `["1"]`) {
				t.Errorf("tags of what is cached: %d %s", code, body)
			}
			checkRefusal(t, u, test.status, test.code, layerOf(t, other).String())
			o.breakWith(nil)
			if test.fault == nil {
				o.start()
			}
			until(t, "pull of the rest", func() bool { return pull(u, "app/two:1", other) == nil })
		})
	}
}

// checkRefusal asks for what is not cached in each way.
func checkRefusal(t *testing.T, u *unit, status int, code, blob string) {
	t.Helper()
	absent := "sha256:" + strings.Repeat("0", 64)
	for _, path := range []string{"manifests/1", "manifests/" + absent, "blobs/" + absent, "blobs/" + blob, "tags/list", "tags/list?n=3"} {
		got, body := get(t, u.url("/v2/app/two/"+path))
		if got != status || !strings.Contains(body, `"code":"`+code+`"`) || strings.Contains(body, "internals") {
			t.Errorf("%s answered %d %s, want %d %s", path, got, body, status, code)
		}
	}
	response, err := http.Head(u.url("/v2/app/two/manifests/1"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != status || status == 429 && response.Header.Get("Retry-After") != "7" {
		t.Errorf("HEAD answered %d %v, want %d", response.StatusCode, response.Header, status)
	}
}

// TestCacheOfNothing has what the upstream does not have unknown, and pushes refused.
func TestCacheOfNothing(t *testing.T) {
	o := newOrigin(t, "")
	o.push("app:1", 1024)
	u := start(t, o.cache())
	absent := "sha256:" + strings.Repeat("0", 64)
	for _, request := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/v2/app/manifests/none", 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/app/blobs/" + absent, 404, "BLOB_UNKNOWN"},
		{"GET", "/v2/none/tags/list", 404, "NAME_UNKNOWN"},
		{"POST", "/v2/app/blobs/uploads/", 405, "UNSUPPORTED"},
		{"DELETE", "/v2/app/manifests/" + absent, 405, "UNSUPPORTED"},
		{"GET", "/v2/_catalog", 200, ""},
	} {
		out, err := http.NewRequest(request.method, u.url(request.path), strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(out)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != request.status || !strings.Contains(string(body), request.code) {
			t.Errorf("%s %s answered %d %s, %v; want %d %s", request.method, request.path, response.StatusCode, body, err, request.status, request.code)
		}
	}
}

// TestCacheListsAllTags has the upstream give its tags in pages, the next of which it
// takes for being elsewhere.
func TestCacheListsAllTags(t *testing.T) {
	o := newOrigin(t, "")
	o.breakWith(func(w http.ResponseWriter, r *http.Request) bool {
		tag := "1"
		if r.URL.Query().Get("last") == "" {
			w.Header().Set("Link", `<http://127.0.0.1:1/v2/app/tags/list?last=1>; rel="next"`)
		} else {
			tag = "2"
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"name": "app", "tags": [%q]}`, tag)
		return true
	})
	u := start(t, o.cache())
	if code, body := get(t, u.url("/v2/app/tags/list")); code != 200 || !strings.Contains(body, `["1","2"]`) {
		t.Errorf("tags: %d %s", code, body)
	}
}

// TestCacheBeforeUpstream starts and reloads a cache whose upstream is down.
func TestCacheBeforeUpstream(t *testing.T) {
	o := newOrigin(t, "")
	image := o.push("app:1", 1024)
	o.stop()
	u := start(t, o.cache())
	want := &registryd.UpstreamStatus{Problem: "unanswered", Reason: "connection refused"}
	until(t, "status of an upstream that is down", func() bool { return cmp.Equal(u.server.Status().Upstream, want) })
	u.reload(o.cache("username: ann", "password: s3cret"))
	until(t, "status after a reload", func() bool { return cmp.Equal(u.server.Status().Upstream, want) })
	if err := registryd.Check(u.path("config.yml")); err != nil {
		t.Errorf("Check: %v", err)
	}
	o.start()
	until(t, "pull once it is back", func() bool { return pull(u, "app:1", image) == nil })
	until(t, "status once it is back", func() bool { return u.server.Status().Upstream == nil })
}

// TestCacheCredentials has the upstream ask for a password, or for a token.
func TestCacheCredentials(t *testing.T) {
	refused := &registryd.UpstreamStatus{Problem: "unauthorized", Reason: "it refuses the credentials"}
	for _, upstream := range []struct {
		name, auth string
		without    *registryd.UpstreamStatus
	}{
		{"password", "auth: {htpasswd: {realm: r, path: DIR/htpasswd}}\n",
			&registryd.UpstreamStatus{Problem: "unauthorized", Reason: "it asks for credentials"}},
		{"token", "auth: {token: {realm: 'ORIGIN/token', service: origin, issuer: issuer, rootcertbundle: DIR/cert.pem}}\n", nil},
	} {
		t.Run(upstream.name, func(t *testing.T) {
			o := newOrigin(t, upstream.auth)
			image := o.push("app:1", 1024, credentials("s3cret"))
			u := start(t, o.cache("username: ann", "password: wr0ng"))
			until(t, "status with a wrong password", func() bool { return cmp.Equal(u.server.Status().Upstream, refused) })
			checkDenied(t, u)
			u.reload(o.cache())
			until(t, "status without credentials", func() bool { return cmp.Equal(u.server.Status().Upstream, upstream.without) })
			checkDenied(t, u)
			u.reload(o.cache("username: ann", "password: s3cret"))
			until(t, "status with the right password", func() bool { return u.server.Status().Upstream == nil })
			if err := pull(u, "app:1", image); err != nil {
				t.Errorf("pull with the right password: %v", err)
			}
			if text := u.log.String(); strings.Contains(text, "s3cret") || strings.Contains(text, "wr0ng") {
				t.Error("a password is in the log")
			}
		})
	}
}

// checkDenied has a cache without access refuse in a way that does not look as if the
// client had to log in.
func checkDenied(t *testing.T, u *unit) {
	t.Helper()
	if code, body := get(t, u.url("/v2/app/manifests/1")); code != 403 || !strings.Contains(body, "DENIED") {
		t.Errorf("manifest without access: %d %s", code, body)
	}
}

// TestCacheOfBadBlobs has the upstream send less, or other content, than it should.
func TestCacheOfBadBlobs(t *testing.T) {
	const size = 1 << 20
	for _, test := range []struct {
		name string
		// send sends content, which is shortened if it is written whole.
		send func(w http.ResponseWriter, r *http.Request, content []byte) bool
	}{
		{"dies", func(w http.ResponseWriter, r *http.Request, content []byte) bool {
			if !isBlob(r) {
				return false
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = w.Write(content[:len(content)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}},
		{"is short", func(w http.ResponseWriter, r *http.Request, content []byte) bool {
			if !strings.Contains(r.URL.Path, "/blobs/") {
				return false
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(content)-100))
			_, _ = w.Write(content[:len(content)-100])
			return true
		}},
		{"ends in something else", func(w http.ResponseWriter, r *http.Request, content []byte) bool {
			if !isBlob(r) {
				return false
			}
			content[len(content)-1]++
			_, _ = w.Write(content)
			return true
		}},
		{"has another begin and no length", func(w http.ResponseWriter, r *http.Request, content []byte) bool {
			if !isBlob(r) {
				return false
			}
			content[0]++
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(content)
			return true
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOrigin(t, "")
			image := o.push("app:1", size)
			layer := layerOf(t, image)
			u := start(t, o.cache())
			o.breakWith(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, layer.String()) {
					return false
				}
				_, content := o.record(r)
				return test.send(w, r, content)
			})
			if content, err := download(u, "/v2/app/blobs/"+layer.String()); err == nil {
				t.Errorf("%d bytes of a blob that is bad look complete", len(content))
			}
			if u.kept(layer) {
				t.Error("a blob that is bad is kept")
			}
			o.breakWith(nil)
			until(t, "pull once the upstream is well", func() bool { return pull(u, "app:1", image) == nil })
			until(t, "keeping what is good", func() bool { return u.kept(layer) })
		})
	}
}

// download is what a client gets that trusts what the connection says.
func download(u *unit, path string) ([]byte, error) {
	client := newClient()
	defer client.CloseIdleConnections()
	response, err := client.Get(u.url(path))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", response.Status)
	}
	return io.ReadAll(response.Body)
}

// TestCacheOfOneBlobForMany has many clients ask for a blob that is not there yet.
func TestCacheOfOneBlobForMany(t *testing.T) {
	for _, auth := range []string{"", "auth: {token: {realm: 'ORIGIN/token', service: origin, issuer: issuer, rootcertbundle: DIR/cert.pem}}\n"} {
		o := newOrigin(t, auth)
		image := o.push("app:1", 1<<20, credentials("s3cret"))
		u := start(t, o.cache("username: ann", "password: s3cret"))
		var clients sync.WaitGroup
		for range 12 {
			clients.Go(func() {
				if err := pull(u, "app:1", image); err != nil {
					t.Errorf("pull: %v", err)
				}
			})
		}
		clients.Wait()
		until(t, "keeping the blob", func() bool { return u.kept(layerOf(t, image)) })
	}
}

// TestCacheExpires has content expire although the registry was restarted and reloaded,
// and be pulled again.
func TestCacheExpires(t *testing.T) {
	o := newOrigin(t, "")
	image := o.push("app:1", 1024)
	layer := layerOf(t, image)
	u := start(t, o.cache("ttl: 3s"))
	if err := pull(u, "app:1", image); err != nil {
		t.Fatalf("pull: %v", err)
	}
	u.end()
	u.ended = make(chan error, 1)
	u.start()
	u.reload(o.cache("ttl: 24h"))
	until(t, "end of what has expired", func() bool { return !u.kept(layer) })
	if err := pull(u, "app:1", image); err != nil {
		t.Errorf("pull of what has expired: %v", err)
	}
	until(t, "keeping what was pulled again", func() bool { return u.kept(layer) })
}

// TestCacheOnSharedStorage has two registries keep the state of both.
func TestCacheOnSharedStorage(t *testing.T) {
	o := newOrigin(t, "")
	first, second := o.push("app:1", 1024), o.push("app:2", 1024)
	u := start(t, o.cache("ttl: 24h"))
	other := prepare(t, t.TempDir())
	if err := os.Symlink(u.path("data"), other.path("data")); err != nil {
		t.Fatal(err)
	}
	other.configure(o.cache("ttl: 24h"))
	other.start()
	if err := pull(u, "app:1", first); err != nil {
		t.Fatal(err)
	}
	if err := pull(other, "app:2", second); err != nil {
		t.Fatal(err)
	}
	u.end()
	other.end()
	state, err := os.ReadFile(u.path("data/scheduler-state.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range []string{layerOf(t, first).String(), layerOf(t, second).String()} {
		if !strings.Contains(string(state), layer) {
			t.Errorf("%s will never expire: %s", layer, state)
		}
	}
}

// TestCacheForgetsWhatAnotherRemoved has content removed behind the registry's back, as
// one that shares its storage does when content expires.
func TestCacheForgetsWhatAnotherRemoved(t *testing.T) {
	o := newOrigin(t, "")
	image := o.push("app:1", 1024)
	u := start(t, strings.Replace(o.cache(), "delete:", "cache: {blobdescriptor: inmemory}, delete:", 1))
	if err := pull(u, "app:1", image); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(u.blobPath(layerOf(t, image))); err != nil {
		t.Fatal(err)
	}
	if err := pull(u, "app:1", image); err != nil {
		t.Errorf("pull of what was removed: %v", err)
	}
}

// TestCacheReloadsLeakNothing reloads caches whose upstream is asked in the background.
func TestCacheReloadsLeakNothing(t *testing.T) {
	o := newOrigin(t, "")
	image := o.push("app:1", 1024)
	u := start(t, o.cache())
	round := func(i int) {
		u.reload(o.cache(fmt.Sprintf("ttl: %dh", 1+i)))
		if err := pull(u, "app:1", image); err != nil {
			t.Errorf("pull after %d reloads: %v", i, err)
		}
	}
	round(0)
	goroutines, _ := settle(t)
	for i := range 20 {
		round(i)
	}
	if after, _ := settleBelow(t, goroutines); after > goroutines {
		t.Errorf("%d goroutines before, %d after", goroutines, after)
	}
}
