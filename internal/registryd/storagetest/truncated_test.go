package storagetest

import (
	"net/http"
	"os"
	"slices"
	"testing"
)

// TestTruncated cuts what the engine keeps behind its back: no client may take it for the image.
func TestTruncated(t *testing.T) {
	each(t, everywhere, func(t *testing.T, b *backend) {
		r := startRegistry(t, b, b.storage(directory(t), b.address))
		layer, other := newBlob(t, 't', 3*mebibyte), newBlob(t, 'u', mebibyte)
		must(t, r.client().pushWhole("app", other))
		layerFile := written(t, b, func() { must(t, r.client().pushWhole("app", layer)) })
		image := manifest(other, layer)
		manifestFile := written(t, b, func() { must(t, r.client().tag("app", "v1", image)) })
		halve(t, layerFile)
		// A new process has forgotten what it knew of the blob.
		r.kill()
		r.start()
		err := r.client().pull("app", layer)
		if err == nil {
			t.Error("the truncated blob is served as good")
		}
		t.Logf("the truncated blob: %v", err)
		must(t, r.client().pull("app", other))
		must(t, r.client().pullManifest("app", "v1", image))

		halve(t, manifestFile)
		r.kill()
		r.start()
		if err := r.client().pullManifest("app", digestOf(image), image); err == nil {
			t.Error("the truncated manifest is served as good")
		}
		got, err := r.client().do(request{
			method: http.MethodGet, path: "/v2/app/manifests/v1", header: map[string]string{"Accept": manifestType},
		})
		if err == nil && got.status == http.StatusOK {
			t.Errorf("the truncated manifest answers 200 %q", got.body)
		}
	})
}

// written is the largest file that the engine has written meanwhile.
func written(t *testing.T, b *backend, meanwhile func()) string {
	t.Helper()
	before, err := b.files(directory(t))
	must(t, err)
	meanwhile()
	after, err := b.files(directory(t))
	must(t, err)
	largest, size := "", int64(-1)
	for _, file := range after {
		information, err := os.Stat(file)
		must(t, err)
		if !slices.Contains(before, file) && information.Size() > size {
			largest, size = file, information.Size()
		}
	}
	if size < 2 {
		t.Fatalf("the engine has written nothing but %q", largest)
	}
	return largest
}

func halve(t *testing.T, file string) {
	t.Helper()
	information, err := os.Stat(file)
	must(t, err)
	must(t, os.Truncate(file, information.Size()/2))
}
