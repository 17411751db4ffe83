package swift

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/ncw/swift/v2"

	engine "docker-registry-operator/tests/engine/swift"
)

// What the suite of distribution does not ask for, with static and with dynamic large
// objects.
func TestStorage(t *testing.T) {
	for kind, options := range map[string]engine.Options{"static": {}, "dynamic": {DynamicOnly: true}} {
		t.Run(kind, func(t *testing.T) {
			server := start(t, options)
			for name, test := range map[string]func(*testing.T, *driver){
				"segments":        testSegments,
				"groups":          testGroups,
				"writer dies":     testWriterDies,
				"close":           testClose,
				"small appends":   testSmallAppends,
				"move dies":       testMoveDies,
				"upload of v2":    testUploadOfVersion2,
				"cancel":          testCancel,
				"lost segment":    testLostSegment,
				"walk":            testWalk,
				"long listing":    testLongListing,
				"deleted by many": testDeletedElsewhere,
			} {
				t.Run(name, func(t *testing.T) {
					p := parameters(server)
					p.ChunkSize = minChunkSize
					p.Container = strings.ReplaceAll(name, " ", "-")
					test(t, opened(t, p))
				})
			}
		})
	}
}

const upload, blob = "/docker/_uploads/1/data", "/docker/blobs/1/data"

// put writes a file through a writer.
func put(t *testing.T, d *driver, path, text string) {
	t.Helper()
	w, err := d.Writer(t.Context(), path, false)
	check(t, err)
	write(t, w, text)
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
}

// names are all objects of the container.
func names(t *testing.T, d *driver) []string {
	t.Helper()
	listed, err := d.store.conn.ObjectNamesAll(t.Context(), d.store.container, nil)
	check(t, err)
	return listed
}

func wantNothingLeft(t *testing.T, d *driver) {
	t.Helper()
	if left := names(t, d); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func wantText(t *testing.T, d *driver, path, want string) {
	t.Helper()
	info, err := d.Stat(t.Context(), path)
	check(t, err)
	if info.Size() != int64(len(want)) {
		t.Errorf("%s has %d bytes, want %d", path, info.Size(), len(want))
	}
	if got := read(t, d, path); got != want {
		t.Errorf("%s is not what was written: %d bytes", path, len(got))
	}
}

func testSegments(t *testing.T, d *driver) {
	for _, size := range []int{0, 1, minChunkSize - 1, minChunkSize, minChunkSize + 1, 3*minChunkSize + 5} {
		text := content(size)
		put(t, d, upload, text)
		check(t, d.Move(t.Context(), upload, blob))
		wantText(t, d, blob, text)
		if _, err := d.Stat(t.Context(), upload); !errors.As(err, &storagedriver.PathNotFoundError{}) {
			t.Errorf("%d bytes: the upload is still there: %v", size, err)
		}
		check(t, d.Delete(t.Context(), "/docker"))
		wantNothingLeft(t, d)
	}
}

// More segments than a manifest may hold.
func testGroups(t *testing.T, d *driver) {
	has, err := d.store.capabilities(t.Context())
	check(t, err)
	if has.Static != nil {
		has.Static.Most = 2
	}
	text := content(5*minChunkSize + 3)
	put(t, d, upload, text)
	check(t, d.Move(t.Context(), upload, blob))
	wantText(t, d, blob, text)
	r, err := d.Reader(t.Context(), blob, 4*minChunkSize-7)
	check(t, err)
	rest, err := io.ReadAll(r)
	check(t, err)
	check(t, r.Close())
	if string(rest) != text[4*minChunkSize-7:] {
		t.Errorf("read %d bytes from an offset, and not those that were written", len(rest))
	}
	check(t, d.Delete(t.Context(), blob))
	wantNothingLeft(t, d)
}

// A registry that is killed loses of an upload no more than the segment that it was filling.
func testWriterDies(t *testing.T, d *driver) {
	text := content(3*minChunkSize + 100)
	first, err := d.Writer(t.Context(), upload, false)
	check(t, err)
	check(t, first.Close()) // an upload begins so
	killed, err := d.Writer(t.Context(), upload, true)
	check(t, err)
	write(t, killed, text[:2*minChunkSize+50])
	check(t, killed.(*writer).wait())

	next, err := d.Writer(t.Context(), upload, true)
	check(t, err)
	if next.Size() != 2*minChunkSize {
		t.Fatalf("%d bytes are left, want %d", next.Size(), 2*minChunkSize)
	}
	write(t, next, text[2*minChunkSize:])
	check(t, next.Commit(t.Context()))
	check(t, next.Close())
	check(t, d.Move(t.Context(), upload, blob))
	wantText(t, d, blob, text)
	check(t, d.Delete(t.Context(), blob))
	wantNothingLeft(t, d)
}

// A request that ends while a segment is under way loses neither it nor the rest.
func testClose(t *testing.T, d *driver) {
	text := content(2*minChunkSize + 300)
	for i, end := range []int{minChunkSize + 100, 2*minChunkSize + 200, len(text)} {
		w, err := d.Writer(t.Context(), upload, i > 0)
		check(t, err)
		write(t, w, text[w.Size():end])
		check(t, w.Close())
		if w.Size() != int64(end) {
			t.Errorf("%d bytes were written, want %d", w.Size(), end)
		}
	}
	w, err := d.Writer(t.Context(), upload, true)
	check(t, err)
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
	wantText(t, d, upload, text)
	check(t, d.Delete(t.Context(), upload))
	wantNothingLeft(t, d)
}

// An upload in many requests, each smaller than a segment.
func testSmallAppends(t *testing.T, d *driver) {
	text := content(2000)
	for i := range 20 {
		w, err := d.Writer(t.Context(), upload, i > 0)
		check(t, err)
		if w.Size() != int64(100*i) {
			t.Fatalf("%d bytes are there, want %d", w.Size(), 100*i)
		}
		write(t, w, text[100*i:100*i+100])
		if i == 19 {
			check(t, w.Commit(t.Context()))
		}
		check(t, w.Close())
		if w.Size() != int64(100*i+100) {
			t.Fatalf("%d bytes were written, want %d", w.Size(), 100*i+100)
		}
	}
	wantText(t, d, upload, text)
	check(t, d.Delete(t.Context(), upload))
	wantNothingLeft(t, d)
}

// Where a move ended half way, the segments belong to the file at the new path.
func testMoveDies(t *testing.T, d *driver) {
	text := content(2*minChunkSize + 1)
	put(t, d, upload, text)
	from, to := d.layout.file(upload), d.layout.file(blob)
	there, err := d.store.head(t.Context(), from)
	check(t, err)
	check(t, d.hand(t.Context(), there, from, to))
	wantText(t, d, upload, text)

	check(t, d.Delete(t.Context(), "/docker/_uploads"))
	wantText(t, d, blob, text)
	check(t, d.Delete(t.Context(), blob))
	wantNothingLeft(t, d)
}

// An upload that the driver of distribution version 2 left may share its segments with a
// blob; that driver tells nothing of it.
func testUploadOfVersion2(t *testing.T, d *driver) {
	segments := "segments/abc/def"
	for i, part := range []string{"one", "two"} {
		_, err := d.store.put(t.Context(), numbered(segments, i+1), wholeOf([]byte(part)), nil)
		check(t, err)
	}
	for _, path := range []string{upload, blob} {
		_, err := d.store.put(t.Context(), d.layout.file(path), wholeOf(nil), swift.Headers{dynamicManifest: d.store.container + "/" + segments})
		check(t, err)
	}
	check(t, d.Delete(t.Context(), "/docker/_uploads"))
	wantText(t, d, blob, "onetwo")
	check(t, d.Delete(t.Context(), blob))
	wantNothingLeft(t, d)
}

func testCancel(t *testing.T, d *driver) {
	w, err := d.Writer(t.Context(), upload, false)
	check(t, err)
	write(t, w, content(2*minChunkSize+1))
	check(t, w.Cancel(t.Context()))
	check(t, w.Close())
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a cancelled upload takes more")
	}
	wantNothingLeft(t, d)
}

// What Swift has lost is not served as if it were whole.
func testLostSegment(t *testing.T, d *driver) {
	text := content(3*minChunkSize + 5)
	put(t, d, blob, text)
	segments, err := d.store.list(t.Context(), query{prefix: "segments/"})
	check(t, err)
	check(t, d.store.remove(t.Context(), segments[1].Name))
	d.store.patience, d.store.endurance = time.Second, time.Second

	r, err := d.Reader(t.Context(), blob, 0)
	if err == nil {
		var got []byte
		got, err = io.ReadAll(r)
		if string(got) != text[:len(got)] {
			t.Errorf("%d bytes, and not those that were written", len(got))
		}
		check(t, r.Close())
	}
	if err == nil {
		t.Error("a blob without its second segment was read to its end")
	}
}

func testWalk(t *testing.T, d *driver) {
	files := []string{"/r/a/x", "/r/a-b/x", "/r/a.c/x", "/r/b/skipped/x", "/r/b/y", "/s/x"}
	for _, path := range files {
		check(t, d.PutContent(t.Context(), path, []byte(path)))
	}
	put(t, d, "/r/c/data", content(2*minChunkSize))
	var seen []string
	visit := func(info storagedriver.FileInfo) error {
		seen = append(seen, fmt.Sprint(info.Path(), " ", info.Size()))
		if strings.HasSuffix(info.Path(), "/skipped") {
			return storagedriver.ErrSkipDir
		}
		return nil
	}
	check(t, d.Walk(t.Context(), "/r", visit))
	want := []string{
		"/r/a 0", "/r/a/x 6", "/r/a-b 0", "/r/a-b/x 8", "/r/a.c 0", "/r/a.c/x 8",
		"/r/b 0", "/r/b/skipped 0", "/r/b/y 6", "/r/c 0", "/r/c/data 2097152",
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	seen = nil
	check(t, d.Walk(t.Context(), "/r", visit, storagedriver.WithStartAfterHint("/r/b")))
	if diff := cmp.Diff(want[7:], seen); diff != "" {
		t.Error(diff)
	}
}

// A listing that Swift shows in parts.
func testLongListing(t *testing.T, d *driver) {
	want := map[string]bool{}
	for i := range 250 {
		name := d.layout.file(fmt.Sprintf("/many/%04d", i))
		want[name] = true
		_, err := d.store.put(t.Context(), name, wholeOf(nil), nil)
		check(t, err)
	}
	listed, err := d.store.list(t.Context(), query{prefix: d.layout.file("/many") + "/", limit: 100})
	check(t, err)
	var got []string
	for _, o := range listed {
		got = append(got, o.Name)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), got); diff != "" {
		t.Error(diff)
	}
	check(t, d.Delete(t.Context(), "/many"))
	wantNothingLeft(t, d)
}

// Another registry's deletion shows, also of what was written a moment ago.
func testDeletedElsewhere(t *testing.T, d *driver) {
	check(t, d.PutContent(t.Context(), "/a/b", []byte("text")))
	check(t, d.store.conn.ObjectDelete(t.Context(), d.store.container, d.layout.file("/a/b")))
	if paths, err := d.List(t.Context(), "/a"); err == nil {
		t.Errorf("listed: %q", paths)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := d.GetContent(ctx, "/a/b"); !errors.As(err, &storagedriver.PathNotFoundError{}) {
		t.Errorf("read: %v", err)
	}
}
