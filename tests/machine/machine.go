// Package machine gives a test a machine of its own: a disposable copy of the host with its own
// files, processes, network and cgroups, and with a Docker Engine if asked for. A program that runs
// there uses its real paths and ports, and nothing of the host changes. It knows nothing of Juju.
package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"docker-registry-operator/tests/gobuild"
)

// Options say what kind of machine to make.
type Options struct {
	// Name is the machine's host name, juju-machine unless set.
	Name string

	// Engine starts a Docker Engine before New returns.
	Engine bool

	// Root is the file system that the machine has a copy of: the host's, /, unless set.
	Root string

	// Systemd boots Root's systemd, as on a machine that people use. The engine is then systemd's.
	Systemd bool

	// Network is what the machine is connected to. Machines that share one reach each other. A
	// machine without gets one of its own.
	Network *Network
}

// A Machine is a running test machine. Its methods may be called from several goroutines at a time.
type Machine struct {
	home    *home
	init    *exec.Cmd
	life    io.Closer
	network *Network
	own     bool
	address string
	booted  bool

	// first is the process that the machine knows as 1: init, or the systemd of this boot.
	first atomic.Int64

	mu     sync.Mutex
	engine *engine
}

// New makes a machine and starts it. The caller closes it; a machine whose owner died without is
// swept away when another one is made. Root is needed.
func New(ctx context.Context, options Options) (*Machine, error) {
	if options.Name == "" {
		options.Name = "juju-machine"
	}
	if options.Root == "" {
		options.Root = "/"
	}
	program, err := gobuild.Program(ctx, "docker-registry-operator/tests/machine/init")
	if err != nil {
		return nil, err
	}
	home, err := makeHome()
	if err != nil {
		return nil, fmt.Errorf("cannot make machine: %w", err)
	}
	m := &Machine{home: home, network: options.Network, booted: options.Systemd}
	if err := m.start(ctx, program, options); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start machine: %w", err), m.Close())
	}
	if options.Engine {
		if err := m.StartEngine(ctx); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	return m, nil
}

func (m *Machine) start(ctx context.Context, program string, options Options) error {
	if err := m.boot(program, options); err != nil {
		return err
	}
	m.first.Store(int64(m.init.Process.Pid))
	if m.booted {
		if err := m.awaitBoot(ctx, 0); err != nil {
			return err
		}
	}
	if m.network == nil {
		network, err := NewNetwork()
		if err != nil {
			return err
		}
		m.network, m.own = network, true
	}
	address, err := m.network.connect(m.init.Process.Pid)
	if err != nil {
		return err
	}
	m.address = address
	return m.setName(options.Name)
}

// boot starts the machine's first process and waits until its file system stands.
func (m *Machine) boot(program string, options Options) error {
	args := []string{m.home.dir, m.home.name, options.Root}
	if options.Systemd {
		args = append([]string{"-systemd"}, args...)
	}
	m.init = exec.Command(program, args...)
	m.init.Env = []string{"PATH=" + os.Getenv("PATH")}
	m.init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	var complaint strings.Builder
	m.init.Stderr = &complaint
	life, err := m.init.StdinPipe()
	if err != nil {
		return err
	}
	ready, err := m.init.StdoutPipe()
	if err != nil {
		return err
	}
	if err := m.init.Start(); err != nil {
		return err
	}
	m.life = life
	if line, _ := bufio.NewReader(ready).ReadString('\n'); line != "ready\n" {
		_ = m.init.Wait()
		m.init = nil
		return errors.New(strings.TrimSpace(complaint.String()))
	}
	return nil
}

func (m *Machine) setName(name string) error {
	script := `hostname "$1" && echo "$1" >/etc/hostname && printf '%s %s\n' "$2" "$1" >>/etc/hosts`
	out, err := m.Command(context.Background(), "sh", "-c", script, "sh", name, m.address).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot name machine %s: %w: %s", name, err, out)
	}
	return nil
}

// Close stops every process of the machine and removes all that was its own. Closing twice is fine.
func (m *Machine) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	if m.init != nil {
		_ = m.life.Close()
		_ = m.init.Wait()
		m.init = nil
	}
	if m.engine != nil {
		_ = m.engine.wait()
		m.engine = nil
	}
	if m.own {
		errs = append(errs, m.network.Close())
		m.own = false
	}
	errs = append(errs, m.home.remove())
	return errors.Join(errs...)
}

// Address returns the machine's IPv4 address on its network. The test process reaches it through
// Dial and HTTPClient only.
func (m *Machine) Address() string { return m.address }

// Network returns the network that the machine is connected to.
func (m *Machine) Network() *Network { return m.network }

// Path returns where the test process finds the file that the machine knows by the absolute name
// path. Absolute symbolic links in it lead back to the host.
func (m *Machine) Path(path string) string {
	return filepath.Join("/proc", strconv.FormatInt(m.first.Load(), 10), "root", path)
}

// ReadFile returns what a file of the machine holds.
func (m *Machine) ReadFile(path string) ([]byte, error) { return os.ReadFile(m.Path(path)) }

// WriteFile writes a file of the machine, and makes the directories on the way to it.
func (m *Machine) WriteFile(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(m.Path(path)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(m.Path(path), data, mode)
}

// Command returns a command that runs in the machine, at its root directory, with no environment but
// PATH and HOME. It is killed when ctx ends; what it left running in the background is not.
func (m *Machine) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	inside := []string{
		"--target", strconv.FormatInt(m.first.Load(), 10), "--all", "--root", "--wd", "--",
		// The kernel passes the death of nsenter on, which has no way to do so itself.
		"setpriv", "--pdeathsig", "KILL", "--", name,
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(inside, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/root"}
	return cmd
}

// Processes returns the arguments of every process of the machine, one line each, without the
// machine's own first process.
func (m *Machine) Processes(ctx context.Context) ([]string, error) {
	out, err := m.Command(ctx, "ps", "-e", "-o", "pid=,args=").Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list processes of machine: %w", err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if pid, args, ok := strings.Cut(strings.TrimSpace(line), " "); ok && pid != "1" {
			lines = append(lines, args)
		}
	}
	return lines, nil
}

// Reboot kills every process of the machine at once, as a power failure would, and forgets what lay
// in /run. An engine that was started is started again, and so is systemd.
func (m *Machine) Reboot(ctx context.Context) error {
	if m.booted {
		before := m.first.Load()
		if err := syscall.Kill(int(before), syscall.SIGKILL); err != nil {
			return fmt.Errorf("cannot reboot machine: %w", err)
		}
		return m.awaitBoot(ctx, before)
	}
	script := `kill -KILL -1; rm -rf /run/*; mkdir -m 1777 /run/lock`
	// The shell spares itself: kill -1 does not signal the caller.
	if out, err := m.Command(ctx, "sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot reboot machine: %w: %s", err, out)
	}
	m.mu.Lock()
	had := m.engine != nil
	if had {
		_ = m.engine.wait()
		m.engine = nil
	}
	m.mu.Unlock()
	if !had {
		return nil
	}
	return m.StartEngine(ctx)
}
