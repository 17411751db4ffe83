package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// homes is the directory, below that of temporary files, in which machines have theirs.
const homes = "juju-test-machines"

// A home is what a machine owns on the host: a directory and, by the same name, cgroups. The lock is
// held as long as the owner lives, so whoever gets it may remove the home.
type home struct {
	name, dir string
	lock      *os.File
}

// makeHome sweeps away the homes of dead owners and makes a new one.
func makeHome() (*home, error) {
	all := filepath.Join(os.TempDir(), homes)
	if err := os.MkdirAll(all, 0o755); err != nil {
		return nil, err
	}
	// Held while homes come and go, so that none is swept between its making and its locking.
	door, err := os.OpenFile(filepath.Join(all, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = door.Close() }()
	if err := syscall.Flock(int(door.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	if err := sweep(all); err != nil {
		return nil, err
	}
	h := &home{name: "machine-" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	h.dir = filepath.Join(all, h.name)
	for _, dir := range []string{"layers", "root", "disk"} {
		if err := os.MkdirAll(filepath.Join(h.dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	if !h.acquire() {
		return nil, fmt.Errorf("cannot lock %s", h.dir)
	}
	return h, nil
}

// sweep removes the homes whose owners are dead.
func sweep(all string) error {
	entries, err := os.ReadDir(all)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		h := &home{name: entry.Name(), dir: filepath.Join(all, entry.Name())}
		if entry.IsDir() && h.acquire() {
			errs = append(errs, h.remove())
		}
	}
	return errors.Join(errs...)
}

func (h *home) acquire() bool {
	lock, err := os.OpenFile(filepath.Join(h.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return false
	}
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		_ = lock.Close()
		return false
	}
	h.lock = lock
	return true
}

// remove takes away the directory and the cgroups. The machine's processes must be gone.
func (h *home) remove() error {
	if h.lock == nil {
		return nil
	}
	err := errors.Join(h.removeCgroups(), os.RemoveAll(h.dir))
	_ = h.lock.Close()
	h.lock = nil
	return err
}

func (h *home) removeCgroups() error {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	var errs []error
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && strings.HasPrefix(fields[2], "cgroup") {
			errs = append(errs, removeCgroup(filepath.Join(fields[1], h.name)))
		}
	}
	return errors.Join(errs...)
}

// removeCgroup removes a group and those below it. The kernel lets go of the last process a moment
// after its parent has seen it end, so a busy group is tried again.
func removeCgroup(group string) error {
	entries, err := os.ReadDir(group)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeCgroup(filepath.Join(group, entry.Name())); err != nil {
				return err
			}
		}
	}
	for range 200 {
		err = syscall.Rmdir(group)
		if !errors.Is(err, syscall.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove cgroup %s: %w", group, err)
	}
	return nil
}
