package filesystem

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/google/go-cmp/cmp"
)

// TestWalk compares walks, after each hint, with those of drivers that have no walk of their own.
func TestWalk(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{
		"a/b/c", "a/b-c/d", "a/b.c", "a/b0/c", "a/_b/c", "a-b/c", "a.b/c/d/e", "a0/b", "a_b", "b/c", "empty/0",
	} {
		check(t, os.MkdirAll(filepath.Join(root, "top", filepath.Dir(path)), 0o700))
		check(t, os.WriteFile(filepath.Join(root, "top", path), []byte(path), 0o600))
	}
	d := newDriver(newDirectory(root), defaultThreads)
	walked := func(skip string, walk func(storagedriver.WalkFn) error) (seen []string) {
		err := walk(func(info storagedriver.FileInfo) error {
			seen = append(seen, fmt.Sprint(info.Path(), info.IsDir(), info.Size()))
			if info.Path() == skip {
				return storagedriver.ErrSkipDir
			}
			return nil
		})
		check(t, err)
		return seen
	}
	hints := []string{"", "/", "/a", "/top", "/zz", "/top/a/_", "/top/nowhere", "/top/a/b.", "/top/b/nowhere/else"}
	check(t, d.Walk(t.Context(), "/top", func(info storagedriver.FileInfo) error {
		if info.IsDir() {
			hints = append(hints, info.Path())
		}
		return nil
	}))
	for _, hint := range hints {
		for _, skip := range []string{"", "/top/a/b", "/top/a.b/c"} {
			after := storagedriver.WithStartAfterHint(hint)
			want := walked(skip, func(f storagedriver.WalkFn) error {
				return storagedriver.WalkFallback(t.Context(), d, "/top", f, after)
			})
			got := walked(skip, func(f storagedriver.WalkFn) error { return d.Walk(t.Context(), "/top", f, after) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after %q, without %q:\n%s", hint, skip, diff)
			}
		}
	}
}

// TestWalkEnds ends a walk on the way down to a hint, where it must not be taken up again further up.
func TestWalkEnds(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"a/b/c", "a/d", "e"} {
		check(t, os.MkdirAll(filepath.Join(root, dir), 0o700))
	}
	var seen []string
	d := newDriver(newDirectory(root), defaultThreads)
	check(t, d.Walk(t.Context(), "/", func(info storagedriver.FileInfo) error {
		seen = append(seen, info.Path())
		return storagedriver.ErrFilledBuffer
	}, storagedriver.WithStartAfterHint("/a/b")))
	if diff := cmp.Diff([]string{"/a/b/c"}, seen); diff != "" {
		t.Error(diff)
	}
}

// TestListing has a large directory whose names are remembered, until another process changes it.
func TestListing(t *testing.T) {
	root := t.TempDir()
	known := newDirectory(root)
	var want []string
	add := func(name string) {
		check(t, os.WriteFile(filepath.Join(root, name), nil, 0o600))
		want = append(want, name)
		slices.Sort(want)
	}
	same := func(when string) {
		t.Helper()
		got, err := known.listings.of(root)
		check(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", when, diff)
		}
	}
	age := func() {
		past := time.Now().Add(-time.Hour)
		check(t, os.Chtimes(root, past, past))
	}
	for i := range 2 * manyEntries {
		add(fmt.Sprint(i))
	}
	same("at first")
	if known.listings.count != 0 {
		t.Error("the names in a directory that has just changed are remembered")
	}
	age()
	same("an hour later")
	if known.listings.count != len(want) {
		t.Errorf("%d names are remembered, want %d", known.listings.count, len(want))
	}
	same("from memory")
	add("added")
	same("after another process has added one")
	age()
	same("an hour later again")
	check(t, os.Remove(filepath.Join(root, "added")))
	want = slices.DeleteFunc(want, func(name string) bool { return name == "added" })
	same("after another process has removed one")
}
