package filesystem

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"docker-registry-operator/internal/registryd/rawfile"
)

// maxKept bounds how many directories are remembered. Each takes about 200 bytes.
const maxKept = 1 << 14

// entries knows which directories below root would be found after a power cut. A file is found if it was
// synced, and so was each directory on the way to it that has got a new entry.
type entries struct {
	root string

	mu   sync.Mutex
	kept map[string]struct{} // directories whose entries in those above them are on the disk
}

// mkdir makes dir and what is missing above it.
func (e *entries) mkdir(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		if err := e.mkdir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o777)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	e.forget(dir)
	if dir == e.root || strings.HasPrefix(e.root, dir+"/") {
		return syncOne(filepath.Dir(dir))
	}
	return nil
}

// sync puts the entries of dir on the disk, and those that lead to it.
func (e *entries) sync(dir string) error {
	above := e.unkept(dir)
	if err := syncAll(append(above, dir)...); err != nil {
		return err
	}
	e.keep(dir, len(above))
	return nil
}

// unkept are the directories above dir that may have entries on the way to it which are not on the disk.
// That of root is on the disk since root was made.
func (e *entries) unkept(dir string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var above []string
	for ; dir != e.root && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, ok := e.kept[dir]; !ok {
			above = append(above, filepath.Dir(dir))
		}
	}
	return above
}

// keep remembers the directories above dir, which other files will need. dir itself is mostly that of one
// file.
func (e *entries) keep(dir string, news int) {
	if news == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kept == nil || len(e.kept) > maxKept {
		e.kept = make(map[string]struct{})
	}
	for dir = filepath.Dir(dir); dir != e.root && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		e.kept[dir] = struct{}{}
	}
}

func (e *entries) forget(dir string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.kept, dir)
}

// forgetAll is for when directories were deleted: who makes them anew may be another process.
func (e *entries) forgetAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.kept)
}

// syncAll syncs files and directories at the same time, so that one commit of the file system's journal does
// for all.
func syncAll(paths ...string) error {
	if len(paths) == 1 {
		return syncOne(paths[0])
	}
	var syncs errgroup.Group
	for _, path := range paths {
		syncs.Go(func() error { return syncOne(path) })
	}
	return syncs.Wait()
}

// syncOne syncs a file or directory. What is gone needs no sync, nor do the entries of directories on file
// systems that have no such sync.
func syncOne(path string) error {
	file, err := rawfile.Open(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = file.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, file.Close())
}
