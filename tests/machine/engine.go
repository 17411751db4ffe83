package machine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// EngineSocket is where the machine's Docker Engine listens.
const EngineSocket = "/var/run/docker.sock"

// engineTimeout bounds how long an engine may take to come or go. It needs 3 s on an idle machine.
const engineTimeout = 60 * time.Second

// engineLog is where the machine keeps what the engine said.
const engineLog = "/var/log/dockerd.log"

// An engine is a running dockerd, a child of the test.
type engine struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func (e *engine) wait() error {
	<-e.done
	return e.err
}

// StartEngine starts the machine's Docker Engine and waits until it answers. It honours the machine's
// /etc/docker/daemon.json, and starts after a kill as well.
func (m *Machine) StartEngine(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.engine != nil {
		return errors.New("cannot start engine: it is running")
	}
	log, err := os.OpenFile(m.Path(engineLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot start engine: %w", err)
	}
	defer func() { _ = log.Close() }()
	// What a killed engine left behind names processes that may live again under the same numbers.
	for _, stale := range []string{"/run/docker.pid", "/run/docker/containerd/containerd.pid"} {
		if err := os.Remove(m.Path(stale)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot start engine: %w", err)
		}
	}
	cmd := m.Command(context.Background(), "dockerd")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start engine: %w", err)
	}
	e := &engine{cmd: cmd, done: make(chan struct{})}
	go func() {
		e.err = cmd.Wait()
		close(e.done)
	}()
	if err := m.awaitEngine(ctx, e); err != nil {
		_ = cmd.Process.Kill()
		return fmt.Errorf("cannot start engine: %w", err)
	}
	m.engine = e
	return nil
}

func (m *Machine) awaitEngine(ctx context.Context, e *engine) error {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	client := m.EngineClient()
	defer client.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/_ping", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-e.done:
			return fmt.Errorf("it ended: %w\n%s", e.err, m.EngineLog())
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w\n%s", ctx.Err(), m.EngineLog())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// EngineClient returns a client whose every connection leads to the machine's engine.
func (m *Machine) EngineClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			// /var/run is an absolute link on some systems, which would lead to the host's engine.
			return m.Dial(ctx, "unix", strings.Replace(EngineSocket, "/var/run", "/run", 1))
		},
	}}
}

// EngineLog returns the last lines of what the engine logged.
func (m *Machine) EngineLog() string {
	data, err := m.ReadFile(engineLog)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-4096):])
}

// StopEngine ends the engine as an operator would, and its containers with it.
func (m *Machine) StopEngine(ctx context.Context) error {
	return m.signalEngine(ctx, syscall.SIGTERM)
}

// KillEngine ends the engine at once. Its containerd goes too, containers stay as they are.
func (m *Machine) KillEngine(ctx context.Context) error {
	if err := m.signalEngine(ctx, syscall.SIGKILL); err != nil {
		return err
	}
	out, err := m.Command(ctx, "pkill", "-KILL", "-x", "containerd").CombinedOutput()
	// 1 is pkill's answer that there was none left.
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return fmt.Errorf("cannot kill containerd: %w: %s", err, out)
	}
	return nil
}

// RestartEngine stops the engine and starts it again.
func (m *Machine) RestartEngine(ctx context.Context) error {
	if err := m.StopEngine(ctx); err != nil {
		return err
	}
	return m.StartEngine(ctx)
}

func (m *Machine) signalEngine(ctx context.Context, signal syscall.Signal) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.engine == nil {
		return fmt.Errorf("cannot send %v to engine: it is not running", signal)
	}
	name := "-" + fmt.Sprint(int(signal))
	if out, err := m.Command(ctx, "pkill", name, "-x", "dockerd").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot send %v to engine: %w: %s", signal, err, out)
	}
	select {
	case <-m.engine.done:
		m.engine = nil
		return nil
	case <-time.After(engineTimeout):
		return fmt.Errorf("cannot end engine with %v: it is still there after %s", signal, engineTimeout)
	}
}
