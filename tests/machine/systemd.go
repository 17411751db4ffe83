package machine

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// bootTimeout bounds how long a machine may take to go down and to come up. It needs 4 s with an engine
// on an idle machine; systemd gives a service that does not end 90 s.
const bootTimeout = 3 * time.Minute

// Restart shuts the machine down in good order and boots it again. It needs systemd.
func (m *Machine) Restart(ctx context.Context) error {
	before := m.first.Load()
	if out, err := m.Command(ctx, "systemctl", "--no-block", "poweroff").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot shut machine down: %w: %s", err, out)
	}
	return m.awaitBoot(ctx, before)
}

// awaitBoot waits until the machine has another first process than before, and until that has started
// all that it is to start.
func (m *Machine) awaitBoot(ctx context.Context, before int64) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	for {
		if pid := m.systemd(ctx); pid != 0 && pid != before {
			m.first.Store(pid)
			break
		}
		if err := m.rest(ctx); err != nil {
			jobs, _ := m.Command(context.WithoutCancel(ctx), "systemctl", "list-jobs", "--no-pager").CombinedOutput()
			return fmt.Errorf("%w, what it waits for: %s", err, jobs)
		}
	}
	var state string
	for state != "running" {
		out, _ := m.Command(ctx, "systemctl", "is-system-running").CombinedOutput()
		state = strings.TrimSpace(string(out))
		if state == "degraded" {
			failed, _ := m.Command(ctx, "systemctl", "--failed", "--no-legend", "--plain").CombinedOutput()
			return fmt.Errorf("cannot boot machine: units failed:\n%s", failed)
		}
		if err := m.rest(ctx); err != nil {
			return fmt.Errorf("%w, system is %q", err, state)
		}
	}
	return nil
}

func (m *Machine) rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("cannot boot machine: %w", ctx.Err())
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}

// systemd is the process ID of the machine's systemd as the test sees it, 0 if it does not run.
func (m *Machine) systemd(ctx context.Context) int64 {
	out, err := exec.CommandContext(ctx, "pgrep", "-x", "systemd", "-P", strconv.Itoa(m.init.Process.Pid)).Output()
	if err != nil {
		return 0
	}
	pid, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return 0
	}
	return pid
}
