// Package rawfile opens and renames plain files with as few system calls as that takes.
package rawfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Open does without what os.OpenFile does for pipes and terminals, which is five further system calls. A file that is
// created has the permissions that the umask leaves of 0666.
func Open(path string, flags int) (*os.File, error) {
	fd, err := Descriptor(path, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Descriptor is Open for who reads a few bytes: nothing closes it but unix.Close.
func Descriptor(path string, flags int) (int, error) {
	fd, err := retried(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC, 0o666) })
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// Rename does without the look at the target that os.Rename takes first, to refuse directories: the kernel
// refuses them, too.
func Rename(from, to string) error {
	_, err := retried(func() (int, error) { return 0, unix.Rename(from, to) })
	return err
}

// retried calls again what a signal has interrupted.
func retried[T any](call func() (T, error)) (T, error) {
	for {
		result, err := call()
		if !errors.Is(err, unix.EINTR) {
			return result, err
		}
	}
}
