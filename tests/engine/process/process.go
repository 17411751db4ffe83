// Package process runs a server as a child of the test that needs it, and sees to it that neither the
// process nor a zombie outlives the test, also one that is killed. What the server is, and when it is
// ready, is its caller's.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const (
	// stopPatience bounds how long a server may take to end on its own. Those of Swift finish their
	// requests first.
	stopPatience = 15 * time.Second

	// startPatience bounds a start, which costs Python seconds of processor time on a busy machine.
	startPatience = 3 * time.Minute

	// probeInterval is how often a server that starts is asked whether it serves.
	probeInterval = 50 * time.Millisecond

	// probePatience bounds one such question, so that one that hangs is asked again.
	probePatience = 5 * time.Second
)

// Command says what to run.
type Command struct {
	Path string
	Args []string
	// Env joins the environment of the test.
	Env []string
}

// A Process is a child that runs until it is stopped or killed, or ends on its own.
type Process struct {
	name    string
	process *os.Process
	ended   chan struct{}
	err     error // of the end; read it once ended is closed
	output  tail
}

// Start runs the command. The caller stops or kills it.
func Start(command Command) (*Process, error) {
	p := &Process{name: filepath.Base(command.Path), ended: make(chan struct{})}
	cmd := exec.Command(command.Path, command.Args...)
	cmd.Env = append(os.Environ(), command.Env...)
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		defer close(p.ended)
		// The kernel sends the death signal when the thread that started the child ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		p.process = cmd.Process
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", p.name, err)
	}
	return p, nil
}

// Await waits until ready returns nil. That the process ends before, or takes too long, is an error that
// tells what it printed.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		probe, done := context.WithTimeout(ctx, probePatience)
		err := ready(probe)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("cannot start %s: it ended: %v\n%s", p.name, p.err, p.Output())
		case <-ctx.Done():
			return fmt.Errorf("cannot start %s: %w: %w\n%s", p.name, ctx.Err(), err, p.Output())
		case <-time.After(probeInterval):
		}
	}
}

// Stop asks the process to end, kills it if it does not, and waits until it is gone. It may be called
// again. A nil process is stopped.
func (p *Process) Stop() {
	if p == nil {
		return
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopPatience):
		p.Kill()
	}
}

// Kill kills the process and waits until it is gone. It may be called again. A nil process is killed.
func (p *Process) Kill() {
	if p == nil {
		return
	}
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// signal leaves a process that has ended alone.
func (p *Process) signal(signal syscall.Signal) {
	if err := p.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(fmt.Sprintf("cannot signal %s, a child: %v", p.name, err))
	}
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// PID is the number of the process.
func (p *Process) PID() int { return p.process.Pid }

// Output is the end of what the process printed.
func (p *Process) Output() string { return p.output.String() }

// Answers is ready when the URL answers with status 200.
func Answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, answer.Status)
		}
		return nil
	}
}

// Accepts is ready when the TCP address takes connections.
func Accepts(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}
