// Package filesystem is a storage driver that keeps images in a directory.
//
// What it stores is laid out as distribution's driver of that name does, versions 2 and 3, so that either
// reads what the other wrote and may write beside it. What it promises to keep through a power cut is told in
// docs/decisions/durability.md. Which requests need which files is left to distribution.
package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/base"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
)

// Name is what a configuration calls the driver.
const Name = "filesystem"

// Register makes the driver known to distribution, which has one list of drivers for the whole process.
func Register() { factory.Register(Name, new(maker)) }

// maker makes the drivers of a process. Those of one directory share what is known of it, since one
// generation of a configuration follows the other.
type maker struct{ known sync.Map } // from root directories to *directory

// Create makes a driver from the section storage.filesystem of a configuration. Nothing is written.
func (m *maker) Create(_ context.Context, section map[string]any) (storagedriver.StorageDriver, error) {
	parameters, err := parse(section)
	if err != nil {
		return nil, err
	}
	root := filepath.Clean(parameters.root)
	known, _ := m.known.LoadOrStore(root, newDirectory(root))
	return newDriver(known.(*directory), parameters.threads), nil
}

func newDriver(known *directory, threads uint64) storagedriver.StorageDriver {
	return &base.Base{StorageDriver: base.NewRegulator(&driver{known}, threads)}
}

// directory is what is known of a root directory.
type directory struct {
	root     string
	entries  entries
	listings listings
	commits  sync.Map // of the directories of uploads whose bytes are complete
	links    sync.Map // from links to files that are ready to become them
	named    sync.Map // from digests to directories of blobs whose names may not be on the disk
}

func newDirectory(root string) *directory {
	return &directory{root: root, entries: entries{root: root}}
}

type driver struct{ *directory }

// Name is "filesystem".
func (*driver) Name() string { return Name }

// RedirectURL is empty: there is no other server that has the files.
func (*driver) RedirectURL(*http.Request, string) (string, error) { return "", nil }

// full is where path is on the machine.
func (d *driver) full(path string) (string, error) {
	if slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool { return part == "." || part == ".." }) {
		return "", storagedriver.InvalidPathError{Path: path}
	}
	return filepath.Join(d.root, path), nil
}

// failed puts what was to be done before a cause, and tells distribution what is missing. The path on the
// machine, which a client has no use for, is left out of it.
func failed(what, path string, err error) error {
	if err == nil || errors.As(err, new(storagedriver.InvalidPathError)) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return storagedriver.PathNotFoundError{Path: path}
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		err = number
	}
	return fmt.Errorf("cannot %s %s: %w", what, path, err)
}
