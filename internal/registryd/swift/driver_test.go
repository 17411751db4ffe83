package swift

import (
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/base"
	"github.com/distribution/distribution/v3/registry/storage/driver/testsuites"

	"docker-registry-operator/tests/engine/keystone"
	engine "docker-registry-operator/tests/engine/swift"
)

// start runs a Swift that ends with the test.
func start(t *testing.T, options engine.Options) *engine.Server {
	t.Helper()
	if lacking := engine.Missing(); len(lacking) > 0 || os.Getuid() != 0 {
		t.Skipf("Swift needs root and %s", strings.Join(lacking, ", "))
	}
	server, err := engine.Start(t.Context(), options)
	check(t, err)
	t.Cleanup(server.Close)
	return server
}

func startKeystone(t *testing.T) *keystone.Server {
	t.Helper()
	if lacking := keystone.Missing(); len(lacking) > 0 || os.Getuid() != 0 {
		t.Skipf("Keystone needs root and %s", strings.Join(lacking, ", "))
	}
	server, err := keystone.Start(t.Context())
	check(t, err)
	t.Cleanup(server.Close)
	return server
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// parameters are those of a server with tempauth.
func parameters(server *engine.Server) Parameters {
	return Parameters{
		AuthURL: server.AuthURL, Username: server.User, Password: server.Password,
		Container: "images", ChunkSize: defaultChunkSize,
	}
}

// opened is a driver, without the checks that distribution puts around it.
func opened(t *testing.T, p Parameters) *driver {
	t.Helper()
	d, err := New(t.Context(), p)
	check(t, err)
	return d.(*base.Base).StorageDriver.(*driver)
}

// The suite of distribution for all storage drivers, against real servers.
func TestSuite(t *testing.T) {
	t.Run("tempauth", func(t *testing.T) { suite(t, parameters(start(t, engine.Options{}))) })
	t.Run("keystone", func(t *testing.T) {
		identity := startKeystone(t)
		p := parameters(start(t, engine.Options{Keystone: identity}))
		p.Tenant, p.Domain, p.Region = identity.Project, identity.Domain, identity.Region
		suite(t, p)
	})
	t.Run("dynamic", func(t *testing.T) {
		// The blob of 5 GiB was written twice already.
		short := flag.Lookup("test.short").Value
		before := short.String()
		check(t, short.Set("true"))
		defer func() { check(t, short.Set(before)) }()
		suite(t, parameters(start(t, engine.Options{DynamicOnly: true})))
	})
}

func suite(t *testing.T, p Parameters) {
	testsuites.Driver(t, func() (storagedriver.StorageDriver, error) { return New(t.Context(), p) }, false)
}

// content is a text of a size whose every part differs from every other.
func content(size int) string {
	var text strings.Builder
	for text.Len() < size {
		text.WriteString(strings.Repeat("x", 7))
		text.WriteString(string(rune('a' + text.Len()%26)))
		text.WriteString(string(rune('a' + text.Len()/26%26)))
		text.WriteString(string(rune('a' + text.Len()/676%26)))
	}
	return text.String()[:size]
}

func write(t *testing.T, w storagedriver.FileWriter, text string) {
	t.Helper()
	_, err := io.Copy(w, strings.NewReader(text))
	check(t, err)
}

func read(t *testing.T, d *driver, path string) string {
	t.Helper()
	r, err := d.Reader(t.Context(), path, 0)
	check(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	check(t, err)
	return string(text)
}
