package filesystem

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// open does without what os.OpenFile does for pipes and terminals, which is five further system calls.
func open(path string, flags int) (*os.File, error) {
	fd, err := retried(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC, 0o666) })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// rename does without the look at the target that os.Rename takes first, to refuse directories: the kernel
// refuses them, too.
func rename(from, to string) error {
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
