package machine

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Share puts a directory of the machine in the place of one of the same path on another machine, as if
// both had mounted the same file system. Both directories must be there.
func (m *Machine) Share(path string, with *Machine) error {
	from, err := os.Open(mountPath(m))
	if err != nil {
		return fmt.Errorf("cannot share %s: %w", path, err)
	}
	defer func() { _ = from.Close() }()
	to, err := os.Open(mountPath(with))
	if err != nil {
		return fmt.Errorf("cannot share %s: %w", path, err)
	}
	defer func() { _ = to.Close() }()
	if err := onThread(func() error { return graft(from, to, path) }); err != nil {
		return fmt.Errorf("cannot share %s: %w", path, err)
	}
	return nil
}

// graft takes a copy of a mount out of one mount namespace and into another, which no path leads to.
func graft(from, to *os.File, path string) error {
	// A thread that shares its root with others cannot enter a mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	if err := unix.Setns(int(from.Fd()), unix.CLONE_NEWNS); err != nil {
		return err
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(tree) }()
	if err := unix.Setns(int(to.Fd()), unix.CLONE_NEWNS); err != nil {
		return err
	}
	return unix.MoveMount(tree, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

func mountPath(m *Machine) string { return fmt.Sprintf("/proc/%d/ns/mnt", m.first.Load()) }
