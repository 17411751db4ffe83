package image

import (
	"archive/tar"
	"encoding/pem"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"docker-registry-operator/internal/config"
)

const password = "s3cret"

// secured is a registry behind TLS and basic authentication.
func secured(t *testing.T) Destination {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, given, _ := r.BasicAuth(); user != "admin" || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return Destination{
		Address:     server.Listener.Addr().String(),
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		User:        "admin",
		Password:    config.NewSecret(password),
	}
}

// pulled is the digest that the destination has under tag.
func pulled(t *testing.T, from Destination, tag string) v1.Hash {
	t.Helper()
	reference, err := name.ParseReference(tag)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := from.transport()
	if err != nil {
		t.Fatal(err)
	}
	descriptor, err := remote.Get(reference, remote.WithTransport(transport), remote.WithAuth(from.auth()))
	if err != nil {
		t.Fatal(err)
	}
	return descriptor.Digest
}

func digestOf(t *testing.T, image interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(1<<16, 2)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestPushFile(t *testing.T) {
	image := randomImage(t)
	index, err := random.Index(1<<10, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		write func(t *testing.T, dir string) string
		want  v1.Hash
	}{
		{"docker save archive", func(t *testing.T, dir string) string { return writeArchive(t, dir, image) }, digestOf(t, image)},
		{"OCI layout", func(t *testing.T, dir string) string {
			return writeLayout(t, dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image}))
		}, digestOf(t, image)},
		{"OCI layout of several platforms", func(t *testing.T, dir string) string {
			return writeLayout(t, dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index}))
		}, digestOf(t, index)},
		{"OCI archive", func(t *testing.T, dir string) string {
			return writeTar(t, writeLayout(t, dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image})))
		}, digestOf(t, image)},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := secured(t)
			const tag = "registry.example.com:5000/team/app:1.0"
			var lines []string
			progress := func(line string) { lines = append(lines, line) }
			if err := PushFile(t.Context(), test.write(t, t.TempDir()), tag, to, progress); err != nil {
				t.Fatal(err)
			}
			if got := pulled(t, to, tag); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if len(lines) == 0 || lines[0] != "pushing "+tag {
				t.Errorf("progress began with %q", lines)
			}
		})
	}
}

func TestPushFileRefuses(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.tar")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no image ", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	two := writeLayout(t, filepath.Join(dir, "two"), mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: randomImage(t)}, mutate.IndexAddendum{Add: randomImage(t)}))
	for _, test := range []struct{ name, file, want string }{
		{"absent", filepath.Join(dir, "absent"), "cannot open image: stat "},
		{"garbage", garbage, "cannot read image " + garbage},
		{"two images", two, "cannot choose among the 2 images of an OCI image layout; save one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := secured(t)
			err := PushFile(t.Context(), test.file, "r.example.com/a:1", to, func(string) {})
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

func TestPushTrustsOnlyTheServedCertificate(t *testing.T) {
	to := secured(t)
	to.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("another")})
	err := PushFile(t.Context(), writeArchive(t, t.TempDir(), randomImage(t)), "r.example.com/a:1", to, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "serves another certificate") {
		t.Errorf("got error %v, want one about the certificate", err)
	}
	if err != nil && strings.Contains(err.Error(), password) {
		t.Error("the error holds the password")
	}
}

func TestCopy(t *testing.T) {
	upstream := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(upstream.Close)
	image := randomImage(t)
	source := strings.TrimPrefix(upstream.URL, "http://") + "/library/app:2"
	reference, err := name.ParseReference(source)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference, image); err != nil {
		t.Fatal(err)
	}
	to := secured(t)
	if err := Copy(t.Context(), Source{Image: source}, "r.example.com/app:2", to, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if got, want := pulled(t, to, "r.example.com/app:2"), digestOf(t, image); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNameInFile(t *testing.T) {
	archive := writeArchive(t, t.TempDir(), randomImage(t))
	got, err := NameInFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if want := "example.com/app:1.0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	directory := writeLayout(t, t.TempDir(), empty.Index)
	if _, err := NameInFile(directory); err == nil {
		t.Error("a layout has a name")
	}
}

func writeArchive(t *testing.T, dir string, image v1.Image) string {
	t.Helper()
	tag, err := name.NewTag("example.com/app:1.0")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "image.tar")
	if err := tarball.WriteToFile(file, tag, image); err != nil {
		t.Fatal(err)
	}
	return file
}

func writeLayout(t *testing.T, dir string, index v1.ImageIndex) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := layout.Write(dir, index); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeTar(t *testing.T, directory string) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "layout.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archive := tar.NewWriter(file)
	if err := archive.AddFS(os.DirFS(directory).(fs.StatFS)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}
