package juju

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"docker-registry-operator/tests/juju/wire"
)

const (
	killSignal = syscall.SIGKILL
	termSignal = syscall.SIGTERM
)

// An agent is the running agent process of a unit. Its done channel is closed once it has ended and
// what follows from that has been done.
type agent struct {
	cmd    *exec.Cmd
	done   chan struct{}
	output bytes.Buffer
}

// StartAgent installs and starts the unit's agent.
func (u *Unit) StartAgent(ctx context.Context) error {
	m := u.application.model
	for name, program := range map[string]string{"unitagent": m.agent, "jujuc": m.jujuc} {
		data, err := os.ReadFile(program)
		if err != nil {
			return fmt.Errorf("cannot start agent of %s: %w", u.name, err)
		}
		target := path.Join(u.toolsDir(), name)
		if present, err := os.Stat(u.machine.Path(target)); err == nil && present.Size() == int64(len(data)) {
			continue
		}
		if err := u.machine.WriteFile(target, data, 0o755); err != nil {
			return fmt.Errorf("cannot start agent of %s: %w", u.name, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	defer u.lock()()
	if u.agent != nil {
		return fmt.Errorf("cannot start agent of %s: it is running", u.name)
	}
	// The agent outlives the call that starts it.
	a := &agent{done: make(chan struct{})}
	a.cmd = u.machine.Command(context.Background(), path.Join(u.toolsDir(), "unitagent"), m.address(), u.name)
	// A unit agent has no HOME, nor have its hooks.
	a.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	a.cmd.Stdout, a.cmd.Stderr = &a.output, &a.output
	if err := a.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start agent of %s: %w", u.name, err)
	}
	u.agent, u.asked, u.leads, u.updating = a, time.Now(), false, u.updates > 0
	go u.attend(a)
	return nil
}

// attend waits for the agent's end and does what its last words ask for.
func (u *Unit) attend(a *agent) {
	defer close(a.done)
	err := a.cmd.Wait()
	code := a.cmd.ProcessState.ExitCode()
	if code == wire.Terminated {
		for _, dir := range []string{u.agentDir(), u.toolsDir()} {
			_ = os.RemoveAll(u.machine.Path(dir))
		}
	}
	unlock := u.lock()
	m := u.application.model
	m.stopWatchers(u)
	u.agent, u.leads = nil, false
	if u.running != nil {
		u.running.Err = "agent ended"
		u.finish(time.Now())
	}
	if text := strings.TrimSpace(a.output.String()); text != "" || (err != nil && code == 1) {
		u.log = append(u.log, LogLine{Level: "ERROR", Module: "unitagent", Message: fmt.Sprintf("%v: %s", err, text)})
	}
	if code == wire.Terminated {
		u.life, u.gone = dead, true
		u.application.drop(u)
	}
	m.touch()
	unlock()
	if code == wire.Reboot {
		if err := errors.Join(u.machine.Reboot(context.Background()), u.StartAgent(context.Background())); err != nil {
			unlock := u.lock()
			u.log = append(u.log, LogLine{Level: "ERROR", Module: "machine", Message: err.Error()})
			unlock()
		}
	}
}

// StopAgent ends the agent in good order, after the hook that it runs.
func (u *Unit) StopAgent() { u.stopAgent(termSignal) }

// KillAgent kills the agent and the hook that it runs at once.
func (u *Unit) KillAgent() { u.stopAgent(killSignal) }

func (u *Unit) stopAgent(signal syscall.Signal) {
	unlock := u.lock()
	a, hook := u.agent, u.running
	unlock()
	if a == nil {
		return
	}
	// An agent that has ended by itself meanwhile is as good as signalled.
	_ = u.signalAgent(signal)
	if signal == killSignal {
		_ = a.cmd.Process.Kill()
	}
	// The agent goes first: it must not see, let alone tell, that its hook dies.
	if signal == killSignal && hook != nil {
		u.killTree(hook.PID)
	}
	<-a.done
}

func (u *Unit) signalAgent(signal syscall.Signal) error {
	return u.machine.Command(context.Background(), "pkill", "-"+strconv.Itoa(int(signal)), "-f",
		"^"+path.Join(u.toolsDir(), "unitagent")+" ").Run()
}

// killTree kills a process of the unit's machine and those that it started, but not what they have
// set free to run on its own.
func (u *Unit) killTree(pid int) {
	if pid == 0 {
		return
	}
	script := `kill_tree() { kill -STOP $1; for child in $(ps -o pid= --ppid $1); do kill_tree $child; done; kill -KILL $1; }; kill_tree $1`
	_ = u.machine.Command(context.Background(), "sh", "-c", script, "sh", strconv.Itoa(pid)).Run()
}
