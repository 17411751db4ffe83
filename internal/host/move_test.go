package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/desired"
)

// shelf is a directory of images that is moved to a storage.
type shelf struct {
	t        *testing.T
	from, to string
	log      bytes.Buffer
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{t: t, from: filepath.Join(t.TempDir(), "registry"), to: filepath.Join(t.TempDir(), "registry")}
	s.write("docker/registry/v2/repositories/app/_manifests/tags/1.0/current/link", "sha256:one")
	s.write("docker/registry/v2/repositories/app/_uploads/1/data", "half")
	for i := range 20 {
		s.blob(fmt.Sprintf("blob %d", i))
	}
	return s
}

func (s *shelf) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.from, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(content), 0o640)); err != nil {
		s.t.Fatal(err)
	}
}

// blob writes a blob, which is old enough not to be looked at twice.
func (s *shelf) blob(content string) (name string) {
	s.t.Helper()
	sum := sha256.Sum256([]byte(content))
	digest := hex.EncodeToString(sum[:])
	name = "docker/registry/v2/blobs/sha256/" + digest[:2] + "/" + digest + "/data"
	s.write(name, content)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(s.from, name), old, old); err != nil {
		s.t.Fatal(err)
	}
	return name
}

func (s *shelf) copying(ctx context.Context, last bool) *copying {
	return &copying{ctx: s.t.Context(), bounded: ctx, user: owner(), last: last, log: slog.New(slog.NewTextHandler(&s.log, nil))}
}

func (s *shelf) move(ctx context.Context, last bool) desired.Progress {
	s.t.Helper()
	progress, err := s.copying(ctx, last).move(s.from, s.to)
	if err != nil {
		s.t.Fatal(err)
	}
	return progress
}

// tree is what a directory holds, by path: contents, or the mode of a directory.
func (s *shelf) tree(dir string) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		all[name] = info.Mode().String()
		if !entry.IsDir() {
			content, err := os.ReadFile(path)
			all[name] += " " + string(content)
			return err
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

func (s *shelf) wantMoved() {
	s.t.Helper()
	if diff := cmp.Diff(s.tree(s.from), s.tree(s.to)); diff != "" {
		s.t.Errorf("the copy differs:\n%s", diff)
	}
	if _, err := os.Stat(incomplete(s.to)); !errors.Is(err, fs.ErrNotExist) {
		s.t.Errorf("left over: %v", err)
	}
}

func TestMove(t *testing.T) {
	s := newShelf(t)
	before := s.tree(s.from)
	if progress := s.move(t.Context(), false); progress != (desired.Progress{Files: 22, Done: true}) {
		t.Errorf("progress %+v", progress)
	}
	if _, err := os.Stat(s.to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy is in its place before it is whole: %v", err)
	}
	s.move(t.Context(), true)
	s.wantMoved()
	if diff := cmp.Diff(before, s.tree(s.from)); diff != "" {
		t.Errorf("what was copied has changed:\n%s", diff)
	}
}

// TestMoveFollowsChanges has clients push, tag anew and delete between the passes.
func TestMoveFollowsChanges(t *testing.T) {
	s := newShelf(t)
	gone := s.blob("to be deleted")
	s.move(t.Context(), false)
	if err := os.RemoveAll(filepath.Join(s.from, filepath.Dir(gone))); err != nil {
		t.Fatal(err)
	}
	// A tag of the same size, within a tick of the clock.
	tag := "docker/registry/v2/repositories/app/_manifests/tags/1.0/current/link"
	info, err := os.Stat(filepath.Join(s.from, tag))
	if err != nil {
		t.Fatal(err)
	}
	s.write(tag, "sha256:two")
	if err := os.Chtimes(filepath.Join(s.from, tag), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	s.blob("pushed meanwhile")
	s.write("docker/registry/v2/repositories/app/_uploads/1/data", "half and more")
	s.move(t.Context(), true)
	s.wantMoved()
}

// TestMoveInterrupted ends a move after each number of files, as the end of a hook's time
// does, with half a file left over, as a killed hook leaves it.
func TestMoveInterrupted(t *testing.T) {
	s := newShelf(t)
	calls := 0
	for left := 3; ; left += 2 {
		calls++
		if s.move(&budget{Context: t.Context(), left: left}, false).Done {
			break
		}
		half := filepath.Join(incomplete(s.to), "docker/registry/v2/.docker-registry-moving")
		if err := os.MkdirAll(filepath.Dir(half), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for left := 3; !s.move(&budget{Context: t.Context(), left: left}, true).Done; left += 2 {
		calls++
	}
	s.wantMoved()
	if calls < 10 {
		t.Errorf("%d calls", calls)
	}
}

// TestMoveCopiesOnce holds that what is there is not read again.
func TestMoveCopiesOnce(t *testing.T) {
	s := newShelf(t)
	name := s.blob("kept")
	s.move(t.Context(), false)
	copied := filepath.Join(incomplete(s.to), name)
	before, err := os.Stat(copied)
	if err != nil {
		t.Fatal(err)
	}
	s.move(t.Context(), false)
	after, err := os.Stat(copied)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was copied again: %v", err)
	}
}

func TestMoveTellsOfDamage(t *testing.T) {
	s := newShelf(t)
	s.write(s.blob("sound"), "rotten")
	s.move(t.Context(), false)
	if got := strings.Count(s.log.String(), "blob was damaged"); got != 1 {
		t.Errorf("log:\n%s", s.log.String())
	}
}

// TestMoveLeadsNowhereElse has the registry's user put links where the charm copies: it
// may read all of the machine, and the copy is the registry's.
func TestMoveLeadsNowhereElse(t *testing.T) {
	s := newShelf(t)
	if err := os.Symlink("/etc/shadow", filepath.Join(s.from, "docker/link")); err != nil {
		t.Fatal(err)
	}
	_, err := s.copying(t.Context(), false).move(s.from, s.to)
	want := fmt.Sprintf("cannot copy %q: it is neither a file nor a directory; put what it stands for in its place", filepath.Join(s.from, "docker/link"))
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMoveOverImages(t *testing.T) {
	s := newShelf(t)
	s.move(t.Context(), false)
	if err := os.MkdirAll(filepath.Join(repositories(s.to), "other"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.copying(t.Context(), true).move(s.from, s.to); err == nil || !strings.Contains(err.Error(), "there are others already") {
		t.Errorf("got %v", err)
	}
}

func TestVerify(t *testing.T) {
	s := newShelf(t)
	c := s.copying(t.Context(), false)
	if err := os.MkdirAll(s.to, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.open(s.from, s.to); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(c.from.Close(), c.to.Close()) }()
	sum, err := c.write(s.blob("written"), "copy")
	if err == nil {
		err = c.verify("copy", sum)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(s.to, "copy"), os.O_WRONLY, 0)
	if err == nil {
		_, err = io.WriteString(file, "W")
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if err := c.verify("copy", sum); err == nil || err.Error() != "its copy reads otherwise; check the disk of the storage" {
		t.Errorf("got %v", err)
	}
}
