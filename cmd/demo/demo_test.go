package main

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestPrepare holds that a second demo goes on with the first one's registry, and
// that what it writes is for its owner only.
func TestPrepare(t *testing.T) {
	s := newStage(t.TempDir())
	first, err := s.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	if first.Port == first.DebugPort || len(first.Password) < 20 {
		t.Errorf("ports %d and %d, a password of %d letters", first.Port, first.DebugPort, len(first.Password))
	}
	for _, name := range []string{"options.yaml", "password", "netrc", "ca.crt"} {
		if info, err := os.Stat(s.path(name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
	if err := os.WriteFile(s.path("options.yaml"), []byte("auth-basic-password: [s3cr3t"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.prepare(t.Context()); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("broken options: %v", err)
	}
}

// serve serves an empty registry with the certificate of o, at its port.
func serve(t *testing.T, o *options) {
	t.Helper()
	chain, _ := base64.StdEncoding.DecodeString(o.Cert)
	key, _ := base64.StdEncoding.DecodeString(o.Key)
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, given := r.BasicAuth(); !given || user != o.User || password != o.Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	o.Port = server.Listener.Addr().(*net.TCPAddr).Port
}

func TestPullBack(t *testing.T) {
	o, err := newOptions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	serve(t, &o)
	c, err := newClient(o)
	if err != nil {
		t.Fatal(err)
	}
	image, err := makeImage(filepath.Join(t.TempDir(), "image.tar"))
	if err != nil {
		t.Fatal(err)
	}
	target := o.netloc() + "/" + imageName
	tag, err := name.NewTag(target)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image, c.with(t.Context())...); err != nil {
		t.Fatal(err)
	}
	listed, err := c.list(t.Context())
	if diff := cmp.Diff([]string{imageName}, listed); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	want, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.pullBack(t.Context(), target, image); err != nil || got != want.String() {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	other, err := random.Image(1<<10, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.pullBack(t.Context(), target, other); err == nil {
		t.Error("another image than the pushed one is taken for it")
	}
}

// TestRoot holds that a checkout may be deep: sockets have short paths all the same.
func TestRoot(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := newStage(filepath.Join(t.TempDir(), strings.Repeat("deep/", 20)))
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.makeRoot(); err != nil {
		t.Fatal(err)
	}
	root := s.root()
	if info, err := os.Stat(root); err != nil || !info.IsDir() || !strings.HasPrefix(root, os.TempDir()) {
		t.Errorf("root %s: %v, %v", root, info, err)
	}
	for range 2 {
		if err := down(t.Context(), s); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{root, s.dir} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}
