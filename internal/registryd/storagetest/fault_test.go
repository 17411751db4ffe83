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
	"slices"
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

// recovers waits until the registry is healthy.
func (r *registry) recovers() {
	r.t.Helper()
	eventually(r.t, func() (string, bool) { said := r.health(); return said, said == "" })
}

// refuses starts a registry whose storage cannot be used. It may refuse to start, for one of the reasons.
// If it starts, it tells one of them, and neither takes an image nor denies that there is one: that would
// make a client believe that it is gone.
func (r *registry) refuses(layer blob, reasons ...string) {
	r.t.Helper()
	if err := r.tryStart(); err != nil {
		if !containsAny(err.Error(), reasons) {
			r.t.Errorf("the registry refuses to start for the reason %q, want one of %q", err, reasons)
		}
		return
	}
	c := r.client()
	if err := c.pushWhole("app", layer); err == nil {
		r.t.Error("a push succeeds without storage")
	}
	for _, path := range []string{"/manifests/v1", "/blobs/" + layer.digest, "/tags/list"} {
		got, err := c.do(request{method: http.MethodGet, path: "/v2/app" + path})
		if err == nil && got.status < 500 {
			r.t.Errorf("without storage GET %s answers %d %s", path, got.status, got.body)
		}
	}
	eventually(r.t, func() (string, bool) {
		said := r.health()
		return fmt.Sprintf("healthy for the reason %q, want one of %q", said, reasons), containsAny(said, reasons)
	})
}

func containsAny(text string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

// TestDownAtStart starts a registry whose engine is away, and brings the engine back.
func TestDownAtStart(t *testing.T) {
	each(t, remote, func(t *testing.T, b *backend) {
		network, err := relay.Start("127.0.0.1:0", b.address)
		must(t, err)
		t.Cleanup(network.Close)
		network.Cut()
		r := newRegistry(t, b, b.storage(directory(t), network.Address()))
		layer := newBlob(t, 's', kibibyte)
		r.refuses(layer, "connection refused")
		must(t, network.Mend())
		if !r.runs() {
			r.start()
		}
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

		pulled := make(chan error, 1)
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
		select {
		case <-down:
		default:
			t.Fatalf("the push ends before the engine is away: %v", pushErr)
		}
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
	each(t, []*backend{onS3, onSwift, onKeystone}, func(t *testing.T, b *backend) {
		storage := b.storage(directory(t), b.address)
		misspell(storage)
		r := newRegistry(t, b, storage)
		r.secrets = append(r.secrets, misspelt)
		r.refuses(newBlob(t, 'c', kibibyte), "SignatureDoesNotMatch", "401")
	})
}

// TestNoBucket has a bucket that is not there. A container of Swift is made.
func TestNoBucket(t *testing.T) {
	each(t, []*backend{onS3}, func(t *testing.T, b *backend) {
		storage := b.storage(directory(t), b.address)
		storage["s3"].(section)["bucket"] = "nowhere"
		newRegistry(t, b, storage).refuses(newBlob(t, 'b', kibibyte), "NoSuchBucket")
	})
}

// TestClockSkew has a machine whose clock is wrong: what the engine sees of it is the date of requests.
func TestClockSkew(t *testing.T) {
	each(t, []*backend{onS3}, func(t *testing.T, b *backend) {
		address := skewed(t, b.address)
		newRegistry(t, b, b.storage(directory(t), address)).refuses(newBlob(t, 'd', kibibyte), "RequestTimeTooSkewed")
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
