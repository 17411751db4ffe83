package storagetest

import (
	"io"
	"testing"
)

// must ends the test at an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestImages takes an image with layers of sizes around the least part of a multipart upload through its
// life, pushed in one piece and in chunks.
func TestImages(t *testing.T) {
	each(t, everywhere, func(t *testing.T, b *backend) {
		c := startRegistry(t, b, b.storage(directory(t), b.address)).client()
		for i, way := range []struct {
			name string
			push func(string, blob) error
		}{
			{"whole", c.pushWhole},
			{"chunks", func(repository string, layer blob) error { return c.pushChunks(repository, layer, 2*mebibyte) }},
		} {
			t.Run(way.name, func(t *testing.T) {
				repository := "app/" + way.name
				var blobs []blob
				for _, size := range []int64{1, 0, 5 * mebibyte, 5*mebibyte + 1} {
					blobs = append(blobs, newBlob(t, byte(i), size))
				}
				for _, layer := range blobs {
					must(t, way.push(repository, layer))
				}
				must(t, c.tag(repository, "v1", manifest(blobs...)))
				must(t, c.pullImage(repository, "v1", blobs...))
				must(t, c.pullRange(repository, blobs[3], mebibyte-5, 3*mebibyte+7))
				must(t, c.listed(repository, "v1"))
				deleteImage(t, c, repository, blobs)
			})
		}
	})
}

func deleteImage(t *testing.T, c *client, repository string, blobs []blob) {
	t.Helper()
	digest := digestOf(manifest(blobs...))
	must(t, c.delete(repository, "/manifests/"+digest))
	must(t, c.gone(repository, "/manifests/"+digest))
	must(t, c.gone(repository, "/manifests/v1"))
	for _, layer := range blobs {
		must(t, c.delete(repository, "/blobs/"+layer.digest))
		must(t, c.gone(repository, "/blobs/"+layer.digest))
	}
}

// TestKilledMidway kills the registry while it receives the second half of a blob. What it has
// acknowledged must be there, and the upload goes on from where it says.
func TestKilledMidway(t *testing.T) {
	each(t, everywhere, func(t *testing.T, b *backend) {
		size := int64(48 * mebibyte)
		if b.large {
			size = gibibyte
		}
		layer := newBlob(t, 'k', size)
		r := startRegistry(t, b, b.storage(directory(t), b.address))
		c := r.client()
		location, err := c.begin("app")
		must(t, err)
		location, err = c.patch(location, layer, 0, size/2)
		must(t, err)
		killer := io.MultiReader(layer.content(size/2, size*3/4), once(r.kill), layer.content(size*3/4, size))
		if _, err := c.patchWith(location, killer, size/2, size); err == nil {
			t.Fatal("the registry acknowledges a chunk at which it was killed")
		}
		r.start()
		must(t, c.finish(location, layer, size/2))
		must(t, c.pull("app", layer))
		must(t, c.delete("app", "/blobs/"+layer.digest))
	})
}

// once calls f when it is read, and is empty.
type once func()

func (f once) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}
