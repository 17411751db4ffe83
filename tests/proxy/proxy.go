// Package proxy plays the haproxy application at the other end of the website relation: it makes of the
// databags of the units what the haproxy charm does, and runs HAProxy with it on a machine. When the
// databags change, and what goes through the proxy, is its callers'.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"docker-registry-operator/tests/machine"
)

// Where HAProxy's files are on the machine.
const (
	program    = "/usr/sbin/haproxy"
	configFile = "/etc/haproxy/haproxy.cfg"
	pidFile    = "/run/haproxy.pid"
	masterFile = "/run/haproxy-master.sock"
	logFile    = "/var/log/haproxy.log"
)

// DefaultCertificate is the file with the certificate and key that HAProxy serves where a service asks
// for the DEFAULT one. The operator of HAProxy puts it there.
const DefaultCertificate = "/var/lib/haproxy/default.pem"

// patience bounds what HAProxy does in milliseconds on an idle machine.
const patience = 30 * time.Second

// A Proxy is HAProxy on a machine. Its methods may be called from several goroutines at a time.
type Proxy struct {
	machine *machine.Machine

	mu      sync.Mutex
	master  *exec.Cmd
	text    string
	reloads int
}

// Installed says whether the host, and so a machine that copies it, has HAProxy.
func Installed() bool {
	_, err := os.Stat(program)
	return err == nil
}

// Start runs HAProxy with what the databags, by the names of their units, ask for. The caller stops it.
func Start(ctx context.Context, m *machine.Machine, bags Databags) (*Proxy, error) {
	p := &Proxy{machine: m}
	text, err := Configuration(bags)
	if err != nil {
		return nil, fmt.Errorf("cannot start haproxy: %w", err)
	}
	if err := p.check(ctx, text); err != nil {
		return nil, fmt.Errorf("cannot start haproxy: %w", err)
	}
	log, err := os.OpenFile(m.Path(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot start haproxy: %w", err)
	}
	defer func() { _ = log.Close() }()
	// As systemd starts it, but for the readiness protocol.
	p.master = m.Command(context.Background(), program, "-W", "-f", configFile, "-p", pidFile, "-S", masterFile)
	// The file itself: HAProxy drops what a pipe does not take at once.
	p.master.Stdout, p.master.Stderr = log, log
	if err := p.master.Start(); err != nil {
		return nil, fmt.Errorf("cannot start haproxy: %w", err)
	}
	p.text = text
	if err := p.awaitWorker(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start haproxy: %w\n%s", err, p.tail()), p.Stop())
	}
	return p, nil
}

// Configure has HAProxy take over what the databags ask for, as a reload of its service does: those that
// it serves are served to the end by its old configuration. It says whether there was something new. A
// configuration that HAProxy refuses changes nothing.
func (p *Proxy) Configure(ctx context.Context, bags Databags) (changed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := Configuration(bags)
	if err != nil {
		return false, fmt.Errorf("cannot configure haproxy: %w", err)
	}
	if text == p.text {
		return false, nil
	}
	if err := p.check(ctx, text); err != nil {
		return false, fmt.Errorf("cannot configure haproxy: %w", err)
	}
	if err := p.reload(ctx); err != nil {
		return false, err
	}
	p.text = text
	return true, nil
}

// Reload has HAProxy read its configuration, and the certificates that this names, anew.
func (p *Proxy) Reload(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reload(ctx)
}

func (p *Proxy) reload(ctx context.Context) error {
	if err := p.signal(syscall.SIGUSR2); err != nil {
		return fmt.Errorf("cannot reload haproxy: %w", err)
	}
	p.reloads++
	if err := p.awaitWorker(ctx); err != nil {
		return fmt.Errorf("cannot reload haproxy: %w\n%s", err, p.tail())
	}
	return nil
}

// check writes the configuration where HAProxy reads it, once it would be accepted.
func (p *Proxy) check(ctx context.Context, text string) error {
	next := configFile + ".next"
	if err := p.machine.WriteFile(next, []byte(text), 0o644); err != nil {
		return err
	}
	if out, err := p.machine.Command(ctx, program, "-c", "-f", next).CombinedOutput(); err != nil {
		return fmt.Errorf("it refuses the configuration: %w\n%s\n%s", err, out, text)
	}
	return os.Rename(p.machine.Path(next), p.machine.Path(configFile))
}

// signal sends a signal to HAProxy's master process.
func (p *Proxy) signal(signal syscall.Signal) error {
	pid, err := p.machine.ReadFile(pidFile)
	if err != nil {
		return err
	}
	kill := p.machine.Command(context.Background(), "kill", "-"+strconv.Itoa(int(signal)), strings.TrimSpace(string(pid)))
	if out, err := kill.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// awaitWorker waits until the master has reloaded as often as it was told and runs a worker that has
// the configuration of now. By then the worker's ports are open.
func (p *Proxy) awaitWorker(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		answer, err := p.ask(ctx, "show proc")
		if err == nil {
			done, err := serving(answer, p.reloads)
			if done || err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no worker serves: %w: %v %s", ctx.Err(), err, answer)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ask sends a command to the master.
func (p *Proxy) ask(ctx context.Context, command string) (string, error) {
	conn, err := p.machine.Dial(ctx, "unix", masterFile)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, command+";quit\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// serving reads the answer to "show proc": the master's line counts its reloads, and those under the
// heading "# workers" are of the configuration of now.
func serving(answer string, reloads int) (bool, error) {
	var heading string
	var count, workers int
	for line := range strings.Lines(answer) {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(line)
		case len(fields) < 3:
		case fields[1] == "master":
			if strings.Contains(line, "[failed: ") && !strings.Contains(line, "[failed: 0]") {
				return false, errors.New("it failed to reload")
			}
			count, _ = strconv.Atoi(fields[2])
		case heading == "# workers" && fields[1] == "worker":
			workers++
		}
	}
	return count == reloads && workers == 1, nil
}

// Stop ends HAProxy at once.
func (p *Proxy) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.master == nil {
		return nil
	}
	err := p.signal(syscall.SIGTERM)
	if err != nil {
		_ = p.master.Process.Kill()
	}
	// It ends with the number of the signal, as it should.
	_ = p.master.Wait()
	p.master = nil
	return err
}

// Text returns the configuration that HAProxy runs with.
func (p *Proxy) Text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text
}

// tail is what HAProxy said last.
func (p *Proxy) tail() string {
	log, _ := p.machine.ReadFile(logFile)
	return string(log[max(0, len(log)-4096):])
}
