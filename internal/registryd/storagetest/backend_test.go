package storagetest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"docker-registry-operator/tests/engine/s3"
)

// bucket is the bucket or container that tests share.
const bucket = "images"

// backend is a kind of storage.
type backend struct {
	name string
	// lacks says why the engine cannot run here, if it cannot; nil is that it can.
	lacks func() string
	// start runs the engine, once.
	start func(*testing.T) error
	// storage is the section of the driver for images below a directory, which begins with a slash. With
	// an address the driver finds the engine there.
	storage func(directory, address string) section
	// files are the files on the engine's disk that hold the bytes of objects, at least of those below a
	// directory.
	files func(directory string) ([]string, error)
	// engine is what the images are in, apart from the machine's own disk.
	engine engine
	// address is the TCP address of the engine.
	address string
	// secrets must never be told.
	secrets []string
	// large says that blobs of a gibibyte are tried here: it takes long, and once for each driver is
	// enough.
	large bool

	once sync.Once
	err  error
}

// engine is a server that keeps its data while it does not run.
type engine interface {
	Start(ctx context.Context) error
	Kill()
	Close()
}

// prepare skips the test where the engine cannot run.
func (b *backend) prepare(t *testing.T) {
	t.Helper()
	if b.lacks != nil {
		if reason := b.lacks(); reason != "" {
			t.Skip(reason)
		}
	}
	b.once.Do(func() { b.err = b.start(t) })
	if b.err != nil {
		t.Fatal(b.err)
	}
}

// The backends, each started when it is first wanted.
var (
	onDisk = newFilesystem()
	onS3   = newS3()

	everywhere = []*backend{onDisk, onS3, onSwift, onOldSwift, onKeystone}
	remote     = []*backend{onS3, onSwift}
)

func newFilesystem() *backend {
	b := &backend{name: "filesystem", large: true}
	var root string
	b.start = func(*testing.T) (err error) {
		root, err = os.MkdirTemp("", "storagetest-images-")
		atEnd(func() { _ = os.RemoveAll(root) })
		return err
	}
	b.storage = func(directory, _ string) section {
		return section{"filesystem": section{"rootdirectory": filepath.Join(root, directory)}}
	}
	b.files = func(directory string) ([]string, error) { return filesBelow(filepath.Join(root, directory)) }
	return b
}

func newS3() *backend {
	b := &backend{name: "s3", large: true}
	var server *s3.Server
	b.start = func(t *testing.T) (err error) {
		// Not the test's context: the server outlives the test.
		if server, err = s3.Start(context.Background(), s3.Options{}); err != nil {
			return err
		}
		atEnd(server.Close)
		b.engine, b.address, b.secrets = server, server.Address, []string{server.SecretKey}
		return server.MakeBucket(bucket)
	}
	b.storage = func(directory, address string) section {
		return section{"s3": section{
			"regionendpoint": "http://" + address, "region": server.Region, "bucket": bucket, "forcepathstyle": true,
			"secure": false, "accesskey": server.AccessKey, "secretkey": server.SecretKey, "rootdirectory": directory,
		}}
	}
	b.files = func(directory string) ([]string, error) { return filesBelow(server.Path(bucket, directory)) }
	return b
}

func filesBelow(root string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			found = append(found, path)
		}
		return err
	})
	return found, err
}

// misspelt is no password.
const misspelt = "misspelt-secret"

// misspell changes the password or the secret key.
func misspell(storage section) {
	for _, driver := range storage {
		for _, option := range []string{"secretkey", "password"} {
			if _, has := driver.(section)[option]; has {
				driver.(section)[option] = misspelt
			}
		}
	}
}
