// Command init is the first process of a test machine. Started in fresh namespaces, it lays a
// disposable copy of a file system, such as the host's, over it, reaps what the machine leaves behind,
// and ends, taking the machine with it, as soon as the test that owns the machine is gone.
//
// Usage: init [-systemd] DIRECTORY NAME ROOT. Standard input stays open as long as the owner lives;
// the line "ready" on standard output says that the machine is up. With -systemd a child of init is
// the machine's first process: systemd, which is started again whenever it ends.
package main

import (
	"flag"
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
	if os.Getenv(booting) != "" {
		exitOn(becomeSystemd(os.Args[1]))
	}
	systemd := flag.Bool("systemd", false, "boot systemd")
	flag.Parse()
	if flag.NArg() != 3 {
		fmt.Fprintln(os.Stderr, "usage: init [-systemd] DIRECTORY NAME ROOT")
		os.Exit(2)
	}
	dir, name, lower := flag.Arg(0), flag.Arg(1), flag.Arg(2)
	if os.Getenv(staged) == "" {
		exitOn(enterCgroups(name))
	}
	exitOn(run(dir, name, lower, *systemd))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir, name, lower string, systemd bool) error {
	if err := os.Unsetenv(staged); err != nil {
		return err
	}
	root := filepath.Join(dir, "root")
	if err := mountRoot(dir, root, lower); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("cannot set host name: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot bring up loopback: %w: %s", err, out)
	}
	if systemd {
		go func() { exitOn(keepBooted(root, os.Stdout)) }()
	} else {
		if err := enter(root); err != nil {
			return err
		}
		go reap()
		fmt.Println("ready")
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

// enter makes root, with what the kernel shows of itself, the root of this process.
func enter(root string) error {
	if err := mountKernel(root); err != nil {
		return err
	}
	if err := mount("/dev", filepath.Join(root, "/dev"), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := mount("tmpfs", filepath.Join(root, "/dev/shm"), "tmpfs", 0, "mode=1777"); err != nil {
		return err
	}
	return pivot(root)
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

// mountRoot makes root a writable copy of the file system lower. Writes go to memory, but for the
// directories that must lie on a real file system: those of the engine, which cannot put an overlay on
// an overlay, and those of data.
func mountRoot(dir, root, lower string) error {
	layers := filepath.Join(dir, "layers")
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
	if err := mount("overlay", root, "overlay", 0, "lowerdir="+lower+",upperdir="+upper+",workdir="+work); err != nil {
		return err
	}
	if err := forget(root); err != nil {
		return err
	}
	return mountDisk(root, filepath.Join(dir, "disk"))
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

func mountDisk(root, disk string) error {
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
	return os.Chmod(filepath.Join(root, "/tmp"), 0o1777)
}

// mountKernel mounts the file systems that the kernel fills, and those of a boot.
func mountKernel(root string) error {
	cgroups, err := cgroupMounts()
	if err != nil {
		return err
	}
	for _, m := range []struct{ kind, to, options string }{
		{"proc", "/proc", ""},
		{"tmpfs", "/run", "mode=0755"},
		{"sysfs", "/sys", ""},
		{"tmpfs", "/sys/fs/cgroup", "mode=0755"},
	} {
		if err := mount(m.kind, filepath.Join(root, m.to), m.kind, 0, m.options); err != nil {
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
