// Package host is everything that the charm changes on its machine except the
// registry itself: the files it owns, the directory of images, packages, and the
// Docker Engine's presence and configuration. What all of these should be is decided
// in package desired; running the registry is left to packages docker and native.
package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"docker-registry-operator/internal/desired"
)

// PathError says that something could not be done to a path of the host:
// `cannot write "/etc/x": no space left on device`.
type PathError struct {
	Op   string // "write", "read", "remove"
	Path string
	Err  error
}

// Error names the path once.
func (e *PathError) Error() string { return fmt.Sprintf("cannot %s %q: %v", e.Op, e.Path, e.Err) }

// Unwrap is the cause.
func (e *PathError) Unwrap() error { return e.Err }

// failed makes a [PathError] of an error of package os, whose own mention of the
// system call and of a temporary path would only distract.
func failed(op, path string, err error) error {
	if err == nil {
		return nil
	}
	var inner *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &inner):
		err = inner.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return &PathError{Op: op, Path: path, Err: err}
}

// stateMode lets others pass through the directory of the charm's records, because the
// sockets stand below, but not list it.
const stateMode = 0o711

// Prepare makes the directories of the charm's own records and of the admin sockets.
// Only user may enter the latter. It does nothing if they are there.
func Prepare(layout desired.Layout, user desired.Identity) error {
	if err := ensureDir(layout.State(), stateMode, owner()); err != nil {
		return err
	}
	return ensureDir(layout.Sockets(), 0o700, user)
}

// owner is who owns what the charm writes for itself.
func owner() desired.Identity {
	return desired.Identity{UID: os.Geteuid(), GID: os.Getegid()}
}

// ensureDir makes a directory with this mode and owner, and its parents with 0755.
// One that is there gets the owner, but keeps its mode.
func ensureDir(path string, mode os.FileMode, user desired.Identity) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return failed("make directory", path, err)
		}
		if err := os.Mkdir(path, mode); err != nil {
			return failed("make directory", path, err)
		}
		// Not left to the umask of whoever runs the hook.
		if err := os.Chmod(path, mode); err != nil {
			return failed("make directory", path, err)
		}
	case err != nil:
		return failed("read", path, err)
	case !info.IsDir():
		return &PathError{Op: "make directory", Path: path, Err: errors.New("a file is in the way")}
	case ownerOf(info) == user:
		return nil
	}
	return failed("change owner of", path, chown(path, user))
}

// chown changes the owner of path, following a symbolic link, unless it is user's.
func chown(path string, user desired.Identity) error {
	info, err := os.Stat(path)
	if err != nil || ownerOf(info) == user {
		return err
	}
	return os.Chown(path, user.UID, user.GID)
}
