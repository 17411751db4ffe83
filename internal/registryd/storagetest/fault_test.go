package storagetest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"docker-registry-operator/tests/engine/relay"
)

// patience bounds what takes a moment on an idle machine.
const patience = 2 * time.Minute

// outage is how long an engine is away in the middle of something.
const outage = 30 * time.Second

// eventually waits until the claim holds, and returns what it says.
func eventually(t *testing.T, claim func() (string, bool)) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		said, holds := claim()
		if holds {
			return said
		}
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited; at last: %s", said)
		}
	}
}

// tells waits until the registry gives one of the reasons for not being healthy.
func (r *registry) tells(reasons ...string) {
	r.t.Helper()
	eventually(r.t, func() (string, bool) {
		said := r.health()
		for _, reason := range reasons {
			if strings.Contains(said, reason) {
				return said, true
			}
		}
		return fmt.Sprintf("healthy for the reason %q, want one of %q", said, reasons), false
	})
}

// recovers waits until the registry is healthy.
func (r *registry) recovers() {
	r.t.Helper()
	eventually(r.t, func() (string, bool) { said := r.health(); return said, said == "" })
}

// refuses holds that the registry neither takes an image nor denies that there is one: that would make a
// client believe that it is gone.
func refuses(t *testing.T, c *client, layer blob) {
	t.Helper()
	if err := c.pushWhole("app", layer); err == nil {
		t.Error("a push succeeds without storage")
	}
	for _, path := range []string{"/manifests/v1", "/blobs/" + layer.digest, "/tags/list"} {
		got, err := c.do(request{method: http.MethodGet, path: "/v2/app" + path})
		if err == nil && got.status < 500 {
			t.Errorf("without storage GET %s answers %d %s", path, got.status, got.body)
		}
	}
}

// TestDownAtStart starts a registry whose engine is away, and brings the engine back.
func TestDownAtStart(t *testing.T) {
	each(t, remote, func(t *testing.T, b *backend) {
		network, err := relay.Start("127.0.0.1:0", b.address)
		must(t, err)
		t.Cleanup(network.Close)
		network.Cut()
		r := startRegistry(t, b, b.storage(directory(t), network.Address()))
		layer := newBlob(t, 's', kibibyte)
		refuses(t, r.client(), layer)
		r.tells("connection refused")
		must(t, network.Mend())
		r.recovers()
		must(t, r.client().pushImage("app", "v1", layer))
		must(t, r.client().pullImage("app", "v1", layer))
	})
}

// TestDownMidway takes the engine away in the middle of a push and of a pull.
func TestDownMidway(t *testing.T) {
	each(t, remote, func(t *testing.T, b *backend) {
		r := startRegistry(t, b, b.storage(directory(t), b.address))
		c := r.client()
		kept, layer := newBlob(t, 'm', 64*mebibyte), newBlob(t, 'n', 64*mebibyte)
		must(t, c.pushImage("app", "v1", kept))
		location, err := c.begin("app")
		must(t, err)
		location, err = c.patch(location, layer, 0, layer.size/2)
		must(t, err)

		pulled := make(chan error)
		down, up := make(chan struct{}), make(chan struct{})
		go func() { pulled <- c.pullSlowly("app", kept, down) }()
		cut := once(func() {
			b.engine.Kill()
			close(down)
			go func() {
				defer close(up)
				time.Sleep(outage)
				if err := b.engine.Start(t.Context()); err != nil {
					t.Error(err)
				}
			}()
		})
		rest := io.MultiReader(layer.content(layer.size/2, layer.size*3/4), cut, layer.content(layer.size*3/4, layer.size))
		next, pushErr := c.patchWith(location, rest, layer.size/2, layer.size)
		pullErr := <-pulled
		<-up
		t.Logf("the push ends with %v, the pull with %v", pushErr, pullErr)
		if errors.Is(pullErr, errWrongBytes) {
			t.Error(pullErr)
		}
		if t.Failed() {
			return
		}
		r.recovers()
		acknowledged := layer.size / 2
		if pushErr == nil {
			location, acknowledged = next, layer.size
		}
		must(t, c.pullImage("app", "v1", kept))
		must(t, c.finish(location, layer, acknowledged))
		must(t, c.pull("app", layer))
	})
}

var errWrongBytes = errors.New("wrong bytes are served as good")

// pullSlowly reads the first byte of a blob, and the rest once the channel is closed. An answer that is
// whole and wrong is worse than any error.
func (c *client) pullSlowly(repository string, b blob, rest <-chan struct{}) error {
	answer, err := c.http.Get(c.base + "/v2/" + repository + "/blobs/" + b.digest)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the pull answers %s", answer.Status)
	}
	digest := sha256.New()
	if _, err := io.CopyN(digest, answer.Body, 1); err != nil {
		return err
	}
	<-rest
	if _, err := io.Copy(digest, answer.Body); err != nil {
		return err
	}
	if hex.EncodeToString(digest.Sum(nil)) != b.hex() {
		return errWrongBytes
	}
	return nil
}

// TestWrongCredentials has a password that the engine refuses.
func TestWrongCredentials(t *testing.T) {
	each(t, remote, func(t *testing.T, b *backend) {
		storage := b.storage(directory(t), b.address)
		misspell(storage)
		r := startRegistry(t, b, storage)
		r.secrets = append(r.secrets, misspelt)
		refuses(t, r.client(), newBlob(t, 'c', kibibyte))
		r.tells("SignatureDoesNotMatch", "nauthorized", "uthorization", "401")
	})
}

// TestNoBucket has a bucket that is not there. A container of Swift is made.
func TestNoBucket(t *testing.T) {
	each(t, []*backend{onS3}, func(t *testing.T, b *backend) {
		storage := b.storage(directory(t), b.address)
		storage["s3"].(section)["bucket"] = "nowhere"
		r := startRegistry(t, b, storage)
		refuses(t, r.client(), newBlob(t, 'b', kibibyte))
		r.tells("NoSuchBucket")
	})
}

// TestClockSkew has a machine whose clock is wrong: what the engine sees of it is the date of requests.
func TestClockSkew(t *testing.T) {
	each(t, []*backend{onS3}, func(t *testing.T, b *backend) {
		address := skewed(t, b.address)
		r := startRegistry(t, b, b.storage(directory(t), address))
		refuses(t, r.client(), newBlob(t, 'd', kibibyte))
		r.tells("RequestTimeTooSkewed")
	})
}

// skewed passes requests on to the address with the date of an hour away, on the same day, since the
// signature has the day in it. It breaks the signature; the engine looks at the date first.
func skewed(t *testing.T, address string) string {
	t.Helper()
	const header, layout = "X-Amz-Date", "20060102T150405Z"
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.Host = r.In.Host
			date, err := time.Parse(layout, r.In.Header.Get(header))
			if err != nil {
				t.Errorf("a request has the date %q", r.In.Header.Get(header))
			}
			shift := time.Hour
			if date.Hour() == 23 {
				shift = -time.Hour
			}
			r.Out.Header.Set(header, date.Add(shift).Format(layout))
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
