package process

import (
	"fmt"
	"os"
	"syscall"
)

// Lock holds an exclusive lock on the named file, among processes, until the function that it returns is
// called or the process ends.
func Lock(name string) (func(), error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", name, err)
	}
	return func() { _ = file.Close() }, nil
}
