package filesystem

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/testsuites"
	"github.com/google/go-cmp/cmp"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDriver is distribution's own suite.
func TestDriver(t *testing.T) {
	root := t.TempDir()
	testsuites.Driver(t, func() (storagedriver.StorageDriver, error) {
		return new(maker).Create(t.Context(), map[string]any{"rootdirectory": root})
	}, false)
}

func TestParameters(t *testing.T) {
	tests := []struct {
		name    string
		section map[string]any
		want    parameters
		wantErr string
	}{
		{name: "none", want: parameters{"/var/lib/registry", 100}},
		{name: "both", section: map[string]any{"rootdirectory": "/srv", "maxthreads": "50"}, want: parameters{"/srv", 50}},
		{name: "few threads", section: map[string]any{"maxthreads": 1}, want: parameters{"/var/lib/registry", 25}},
		{
			name: "no number", section: map[string]any{"maxthreads": "many"},
			wantErr: "storage.filesystem.maxthreads must be a whole number, such as 100: parameter must be an integer, 'many' invalid",
		},
		{
			name: "no directory", section: map[string]any{"rootdirectory": nil},
			wantErr: "storage.filesystem.rootdirectory must be a directory, such as /var/lib/registry",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parse(test.section)
			if err != nil {
				if err.Error() != test.wantErr {
					t.Fatalf("error %q, want %q", err, test.wantErr)
				}
				return
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(parameters{})); diff != "" || test.wantErr != "" {
				t.Errorf("want error %q:\n%s", test.wantErr, diff)
			}
		})
	}
}

// TestStaysInside asks for files outside of the root directory. The expression that distribution checks
// paths by lets them pass.
func TestStaysInside(t *testing.T) {
	root := t.TempDir()
	check(t, os.WriteFile(filepath.Join(root, "outside"), []byte("secret"), 0o600))
	d := newDriver(newDirectory(filepath.Join(root, "images")), defaultThreads)
	ctx := t.Context()
	const outside = "/../outside"
	_, getErr := d.GetContent(ctx, outside)
	_, readErr := d.Reader(ctx, outside, 0)
	_, writeErr := d.Writer(ctx, outside, false)
	_, statErr := d.Stat(ctx, outside)
	_, listErr := d.List(ctx, "/..")
	none := func(storagedriver.FileInfo) error { return nil }
	for call, err := range map[string]error{
		"GetContent": getErr, "Reader": readErr, "Writer": writeErr, "Stat": statErr, "List": listErr,
		"PutContent": d.PutContent(ctx, outside, nil), "Delete": d.Delete(ctx, outside),
		"Move from": d.Move(ctx, outside, "/a"), "Move to": d.Move(ctx, "/a", outside), "Walk": d.Walk(ctx, "/..", none),
	} {
		if _, ok := err.(storagedriver.InvalidPathError); !ok {
			t.Errorf("%s: %v", call, err)
		}
	}
	content, err := os.ReadFile(filepath.Join(root, "outside"))
	check(t, err)
	if string(content) != "secret" {
		t.Errorf("a file outside has %q", content)
	}
}

// TestTemporary has files that a writer has left in the middle of its work.
func TestTemporary(t *testing.T) {
	root := t.TempDir()
	d := newDriver(newDirectory(root), defaultThreads)
	ctx := context.Background()
	const left = ".6ba7b810-9dad-11d1-80b4-00c04fd430c8.tmp"
	check(t, d.PutContent(ctx, "/a/link", []byte("x")))
	check(t, os.WriteFile(filepath.Join(root, "a/link"+left), nil, 0o600))
	check(t, os.Mkdir(filepath.Join(root, "a/tag"+left), 0o700))
	listed, err := d.List(ctx, "/a")
	check(t, err)
	slices.Sort(listed)
	if diff := cmp.Diff([]string{"/a/link", "/a/tag" + left}, listed); diff != "" {
		t.Error(diff)
	}
}
