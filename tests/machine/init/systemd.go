package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// booting marks the process that becomes systemd; its only argument is the machine's root.
const booting = "MACHINE_INIT_BOOTING"

// systemdProgram is where every distribution has systemd.
const systemdProgram = "/lib/systemd/systemd"

// keepBooted runs systemd as the first process of a nested PID namespace, and again whenever it has
// ended, like a machine that is switched on after every end. It says "ready" on out once systemd runs,
// and returns only when systemd cannot be run.
func keepBooted(root string, out io.Writer) error {
	for {
		ended, err := boot(root)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "ready"); err != nil {
			return err
		}
		// However a machine goes down, it comes up again.
		_ = ended()
	}
}

// boot starts systemd in namespaces of its own and returns when it runs.
func boot(root string) (ended func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	heard, told, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = heard.Close() }()
	child := exec.Command(self, root)
	child.Env = []string{booting + "=1"}
	child.ExtraFiles = []*os.File{told}
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	err = child.Start()
	_ = told.Close()
	if err != nil {
		return nil, fmt.Errorf("cannot boot: %w", err)
	}
	// Closed without a word when systemd takes the process over.
	if complaint, _ := io.ReadAll(heard); len(complaint) > 0 {
		_ = child.Wait()
		return nil, errors.New(strings.TrimSpace(string(complaint)))
	}
	return child.Wait, nil
}

// becomeSystemd mounts what the kernel shows of itself, as container managers do, and turns into
// systemd.
func becomeSystemd(root string) error {
	told := os.NewFile(3, "told")
	unix.CloseOnExec(3)
	err := mountKernel(root)
	if err == nil {
		err = protectKernel(root)
	}
	if err == nil {
		err = makeDevices(filepath.Join(root, "dev"))
	}
	if err == nil {
		err = pivot(root)
	}
	if err == nil {
		// See https://systemd.io/CONTAINER_INTERFACE.
		err = syscall.Exec(systemdProgram, []string{systemdProgram}, []string{"container=other"})
	}
	_, _ = fmt.Fprintln(told, err)
	return err
}

// protectKernel keeps systemd from changing what is the host's too: it manages devices where /sys can
// be written to, and sets the kernel's variables where /proc/sys can.
func protectKernel(root string) error {
	inside := func(path string) string { return filepath.Join(root, path) }
	const readOnly = unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY
	if err := mount("", inside("/sys"), "", readOnly, ""); err != nil {
		return err
	}
	for _, path := range []string{"/proc/sys", "/proc/sysrq-trigger"} {
		if _, err := os.Stat(inside(path)); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := mount(inside(path), inside(path), "", unix.MS_BIND, ""); err != nil {
			return err
		}
		if err := mount("", inside(path), "", readOnly, ""); err != nil {
			return err
		}
	}
	// The variables of the network belong to the machine's own.
	net := inside("/proc/sys/net")
	if err := mount(net, net, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return mount("", net, "", unix.MS_BIND|unix.MS_REMOUNT, "")
}

// makeDevices fills dev with the devices of a container.
func makeDevices(dev string) error {
	if err := mount("tmpfs", dev, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	for name, number := range map[string][2]uint32{
		"null": {1, 3}, "zero": {1, 5}, "full": {1, 7}, "random": {1, 8}, "urandom": {1, 9}, "tty": {5, 0},
	} {
		path := filepath.Join(dev, name)
		if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(number[0], number[1]))); err != nil {
			return fmt.Errorf("cannot make %s: %w", path, err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			return err
		}
	}
	for _, dir := range []string{"pts", "shm"} {
		if err := os.Mkdir(filepath.Join(dev, dir), 0o755); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2",
	} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	if err := mount("tmpfs", filepath.Join(dev, "shm"), "tmpfs", 0, "mode=1777"); err != nil {
		return err
	}
	return mount("devpts", filepath.Join(dev, "pts"), "devpts", 0, "newinstance,ptmxmode=0666,mode=620,gid=5")
}
