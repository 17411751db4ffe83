package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Command is a program to run. Nothing in Args may be secret.
type Command struct {
	Args []string
	// Env are NAME=value settings beside those of the charm.
	Env []string
	// Log takes what a started program prints; only [Runner.Start] uses it.
	Log string
}

// Runner runs programs of the host.
type Runner interface {
	// Run runs a program to its end and gives what it printed, on both streams.
	// If it fails the error holds its last lines.
	Run(ctx context.Context, c Command) (string, error)
	// Start starts a program that outlives the charm, in a session of its own. The
	// channel is closed when it ends while the charm still runs.
	Start(c Command) (<-chan struct{}, error)
	// Has says that the host has a program of this name.
	Has(program string) bool
}

// Exec runs programs for real.
type Exec struct{}

// lastLines is how many lines of a failed program an error quotes.
const lastLines = 3

// Run runs a program to its end.
func (Exec) Run(ctx context.Context, c Command) (string, error) {
	command := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	command.Env = append(os.Environ(), c.Env...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	if ctx.Err() != nil {
		return output.String(), fmt.Errorf("%s: %w", c.Args[0], ctx.Err())
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return output.String(), fmt.Errorf("%s: %s", c.Args[0], tail(output.String(), exit.Error()))
	}
	return output.String(), err
}

// Start starts a program in a session of its own.
func (Exec) Start(c Command) (<-chan struct{}, error) {
	log, err := os.OpenFile(c.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, failed("write", c.Log, err)
	}
	defer log.Close()
	command := exec.Command(c.Args[0], c.Args[1:]...)
	command.Env = append(os.Environ(), c.Env...)
	command.Dir = "/"
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		// How it ended stands in its log.
		_ = command.Wait()
		close(ended)
	}()
	return ended, nil
}

// Has says that a program is in PATH.
func (Exec) Has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// tail is the last lines of text that are not empty, or otherwise if there are none.
func tail(text, otherwise string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	var kept []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		return otherwise
	}
	return strings.Join(kept[max(0, len(kept)-lastLines):], "; ")
}

// Output runs a program of the host and gives what it printed on its standard output.
// If it fails the error holds all that it said on standard error.
func Output(ctx context.Context, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	output, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("%s: %s", name, strings.TrimSpace(complaint.String()))
	}
	return string(output), err
}
