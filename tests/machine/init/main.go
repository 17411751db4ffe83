// Command init is the first process of a test machine. Started in fresh namespaces, it lays a
// disposable copy of the host's file system over the host's, reaps what the machine leaves behind,
// and ends, taking the machine with it, as soon as the test that owns the machine is gone.
//
// Usage: init DIRECTORY NAME. Standard input stays open as long as the owner lives; the line "ready"
// on standard output says that the machine is up.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// staged marks the second stage: the program runs itself anew to enter its cgroup namespace, because
// a namespace entered by one thread is not that of the others.
const staged = "MACHINE_INIT_STAGED"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: init DIRECTORY NAME")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir, name string) error {
	if os.Getenv(staged) == "" {
		return enterCgroups(name)
	}
	if err := os.Unsetenv(staged); err != nil {
		return err
	}
	if err := mountRoot(dir); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("cannot set host name: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot bring up loopback: %w: %s", err, out)
	}
	go reap()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

// enterCgroups moves the process into cgroups of the machine's own, makes them the root of all that
// the machine sees, and runs the program anew there.
func enterCgroups(name string) error {
	mounts, err := cgroupMounts()
	if err != nil {
		return err
	}
	for _, mount := range mounts {
		if err := mount.join(name); err != nil {
			return err
		}
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("cannot enter a cgroup namespace: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), staged+"=1"))
}

// reap collects every orphan of the machine, as the first process of a system must.
func reap() {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	for range children {
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 || err != nil {
				break
			}
		}
	}
}

// mountRoot makes a writable copy of the host's root the root of the machine. Writes go to memory,
// but for the directories that must lie on a real file system: those of the engine, which cannot put
// an overlay on an overlay, and those of data.
func mountRoot(dir string) error {
	layers, root := filepath.Join(dir, "layers"), filepath.Join(dir, "root")
	if err := mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("tmpfs", layers, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	upper, work := filepath.Join(layers, "upper"), filepath.Join(layers, "work")
	for _, layer := range []string{upper, work} {
		if err := os.Mkdir(layer, 0o755); err != nil {
			return err
		}
	}
	if err := mount("overlay", root, "overlay", 0, "lowerdir=/,upperdir="+upper+",workdir="+work); err != nil {
		return err
	}
	if err := forget(root); err != nil {
		return err
	}
	if err := mountInto(root, filepath.Join(dir, "disk")); err != nil {
		return err
	}
	return pivot(root)
}

// forget removes from the machine what a host may have and a new machine has not.
func forget(root string) error {
	for _, path := range []string{
		"/etc/docker", "/var/lib/docker-registry", "/var/lib/juju", "/var/log/juju",
		"/usr/local/share/ca-certificates",
	} {
		if err := os.RemoveAll(filepath.Join(root, path)); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(root, "/usr/local/share/ca-certificates"), 0o755)
}

func mountInto(root, disk string) error {
	for _, path := range []string{"/var/lib/docker", "/var/lib/containerd", "/srv", "/tmp"} {
		from, to := filepath.Join(disk, path), filepath.Join(root, path)
		for _, made := range []string{from, to} {
			if err := os.MkdirAll(made, 0o755); err != nil {
				return err
			}
		}
		if err := mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(root, "/tmp"), 0o1777); err != nil {
		return err
	}
	cgroups, err := cgroupMounts()
	if err != nil {
		return err
	}
	for _, m := range []struct {
		from, to, kind string
		flags          uintptr
		options        string
	}{
		{"proc", "/proc", "proc", 0, ""},
		{"/dev", "/dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777"},
		{"tmpfs", "/run", "tmpfs", 0, "mode=0755"},
		{"sysfs", "/sys", "sysfs", 0, ""},
		{"tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=0755"},
	} {
		if err := mount(m.from, filepath.Join(root, m.to), m.kind, m.flags, m.options); err != nil {
			return err
		}
	}
	for _, group := range cgroups {
		if err := group.mountAt(root); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(root, "/run/lock"), 0o1777)
}

func pivot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("cannot make %s the root: %w", root, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("cannot leave the host's root: %w", err)
	}
	return os.Chdir("/")
}

func mount(from, to, kind string, flags uintptr, options string) error {
	if err := unix.Mount(from, to, kind, flags, options); err != nil {
		return fmt.Errorf("cannot mount %s on %s: %w", from, to, err)
	}
	return nil
}
