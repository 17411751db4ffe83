package filesystem

import (
	"os"
	"path/filepath"
	"testing"
)

const (
	aDigest = "sha256:00"
	aLink   = "/docker/registry/v2/repositories/app/_layers/sha256/00/link"
)

// TestLink writes the link to a blob that was uploaded, whatever has become of the one that waited for it.
func TestLink(t *testing.T) {
	for name, happens := range map[string]func(t *testing.T, d *directory, upload string){
		"nothing": func(*testing.T, *directory, string) {},
		"the upload is purged by another process": func(t *testing.T, _ *directory, upload string) {
			check(t, os.RemoveAll(upload))
		},
		"the upload is deleted": func(t *testing.T, d *directory, _ string) {
			check(t, newDriver(d, defaultThreads).Delete(t.Context(), filepath.Clean(anUpload)))
			d.links.Range(func(expected, _ any) bool {
				t.Errorf("%v is still remembered", expected)
				return false
			})
		},
		"its repository is deleted": func(t *testing.T, d *directory, upload string) {
			check(t, os.RemoveAll(filepath.Dir(filepath.Dir(upload))))
		},
		"the registry is started anew": func(_ *testing.T, d *directory, _ string) { d.links.Clear() },
	} {
		t.Run(name, func(t *testing.T) {
			known := newDirectory(t.TempDir())
			d, ctx := newDriver(known, defaultThreads), t.Context()
			check(t, d.PutContent(ctx, anUpload+startedAt, []byte("2026-01-02T03:04:05Z")))
			writer, err := d.Writer(ctx, anUpload+data, false)
			check(t, err)
			_, err = writer.Write([]byte("one"))
			check(t, err)
			check(t, writer.Commit(ctx))
			check(t, writer.Close())
			check(t, d.Move(ctx, anUpload+data, aBlob))
			upload := filepath.Join(known.root, anUpload)
			waiting, err := os.ReadFile(filepath.Join(upload, readyLink))
			if err != nil || string(waiting) != aDigest {
				t.Errorf("%q waits, %v", waiting, err)
			}
			happens(t, known, upload)
			check(t, d.PutContent(ctx, aLink, []byte(aDigest)))
			written, err := d.GetContent(ctx, aLink)
			if err != nil || string(written) != aDigest {
				t.Errorf("the link has %q, %v", written, err)
			}
			files, err := os.ReadDir(filepath.Dir(filepath.Join(known.root, aLink)))
			if err != nil || len(files) != 1 {
				t.Errorf("beside the link there are %v, %v", files, err)
			}
		})
	}
}

// TestLinkToAnother does not take a link for what does not lead to the blob.
func TestLinkToAnother(t *testing.T) {
	known := newDirectory(t.TempDir())
	d, ctx := newDriver(known, defaultThreads), t.Context()
	check(t, d.PutContent(ctx, anUpload+data, []byte("one")))
	check(t, d.Move(ctx, anUpload+data, aBlob))
	check(t, d.PutContent(ctx, aLink, []byte("sha256:11")))
	written, err := d.GetContent(ctx, aLink)
	if err != nil || string(written) != "sha256:11" {
		t.Errorf("the link has %q, %v", written, err)
	}
}
