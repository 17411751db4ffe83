package storagetest

import (
	"context"
	"io"
	"os"
	"testing"
	"time"

	"docker-registry-operator/tests/engine/keystone"
	"docker-registry-operator/tests/engine/swift"
)

// Swift with every kind of authentication and of large objects.
var (
	onSwift    = newSwift("swift", swift.Options{})
	onOldSwift = newSwift("swift-dynamic", swift.Options{DynamicOnly: true})
	onKeystone = newKeystone()
)

func newSwift(name string, options swift.Options) *backend {
	b := &backend{name: name, large: !options.DynamicOnly, lacks: lacksSwift}
	var server *swift.Server
	b.start = func(*testing.T) (err error) {
		// Not the test's context: the server outlives the test.
		if server, err = swift.Start(context.Background(), options); err != nil {
			return err
		}
		atEnd(server.Close)
		b.engine, b.address, b.secrets = server, server.Address, []string{server.Password}
		return nil
	}
	b.storage = func(directory, address string) section { return tempauth(server, address, bucket, directory) }
	b.files = func(string) ([]string, error) { return swiftFiles(server) }
	return b
}

// tempauth is the section for Swift at an address, which it gives back as its own.
func tempauth(server *swift.Server, address, container, directory string) section {
	return section{"swift": section{
		"authurl": "http://" + address + "/auth/v1.0", "username": server.User, "password": server.Password,
		"container": container, "prefix": directory,
	}}
}

func newKeystone() *backend {
	b := &backend{name: "swift-keystone", lacks: func() string {
		if missing := keystone.Missing(); len(missing) > 0 {
			return "missing: " + missing[0]
		}
		return lacksSwift()
	}}
	var identity *keystone.Server
	var server *swift.Server
	b.start = func(*testing.T) (err error) {
		if identity, err = keystone.Start(context.Background()); err != nil {
			return err
		}
		atEnd(identity.Close)
		if server, err = swift.Start(context.Background(), swift.Options{Keystone: identity}); err != nil {
			return err
		}
		atEnd(server.Close)
		b.engine, b.address, b.secrets = server, server.Address, []string{identity.Password}
		return nil
	}
	b.storage = func(directory, _ string) section {
		return section{"swift": section{
			"authurl": identity.URL, "username": identity.User, "password": identity.Password,
			"tenant": identity.Project, "domain": identity.Domain, "region": identity.Region,
			"container": bucket, "prefix": directory,
		}}
	}
	b.files = func(string) ([]string, error) { return swiftFiles(server) }
	return b
}

func lacksSwift() string {
	if os.Getuid() != 0 {
		return "root is needed for Swift"
	}
	if missing := swift.Missing(); len(missing) > 0 {
		return "missing: " + missing[0]
	}
	return ""
}

func swiftFiles(server *swift.Server) ([]string, error) {
	named, err := server.DataFiles()
	var files []string
	for _, file := range named {
		files = append(files, file)
	}
	return files, err
}

// TestTokenExpires has tokens that are good for a shorter time than a push takes, and than a chunk of it.
func TestTokenExpires(t *testing.T) {
	// A busy machine must get a request through while a token is good.
	const life = 5 * time.Second
	each(t, []*backend{newSwift("swift", swift.Options{TokenLife: life})}, func(t *testing.T, b *backend) {
		storage := b.storage(directory(t), b.address)
		storage["swift"].(section)["chunksize"] = mebibyte
		c := startRegistry(t, b, storage).client()
		layer := newBlob(t, 'e', 6*mebibyte)
		expire := func() { time.Sleep(life + time.Second) }
		location, err := c.begin("app")
		must(t, err)
		location, err = c.patch(location, layer, 0, 2*mebibyte)
		must(t, err)
		slowly := io.MultiReader(layer.content(2*mebibyte, 4*mebibyte), once(expire), layer.content(4*mebibyte, layer.size))
		location, err = c.patchWith(location, slowly, 2*mebibyte, layer.size)
		must(t, err)
		expire()
		must(t, c.commit(location, layer, layer.size))
		must(t, c.tag("app", "v1", manifest(layer)))
		expire()
		must(t, c.pullImage("app", "v1", layer))
	})
}

// TestQuotaFull has a container with a quota that is too small, and makes it larger.
func TestQuotaFull(t *testing.T) {
	each(t, []*backend{onSwift}, func(t *testing.T, b *backend) {
		const container = "small"
		server := b.engine.(*swift.Server)
		quota := func(bytes string) {
			must(t, server.Put(t.Context(), container, map[string]string{"X-Container-Meta-Quota-Bytes": bytes}))
		}
		quota("16777216")
		r := startRegistry(t, b, tempauth(server, b.address, container, directory(t)))
		full(t, r, "413", func() { quota("268435456") })
	})
}
