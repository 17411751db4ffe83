package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"docker-registry-operator/internal/admin"
)

// stopSeconds is how long a registry that is stopped may spend on the requests that
// it has.
const stopSeconds = 60

// The files in a service's directory that its supervisor writes.
const (
	// lockFile is locked as long as the supervisor runs, whichever way it ends.
	lockFile = "lock"
	// processFile holds the registry's process: its ID and when it began.
	processFile = "process"
	// failureFile holds why the registry ended last, if that was with an error.
	failureFile = "failure"
)

// processes keeps services running with a supervisor process for each, which runs
// [Supervise] and outlives the hook. A reboot ends them: the next hook starts them.
type processes struct {
	// command begins a supervisor's arguments; the service's directory and its log
	// end them.
	command []string
	// log is the directory of the registries' logs.
	log string
}

func (p processes) start(ctx context.Context, s service) error {
	if err := os.Remove(filepath.Join(s.dir, failureFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(p.log, 0o755); err != nil {
		return fmt.Errorf("cannot create directory of logs: %w", err)
	}
	args := append(p.command[1:len(p.command):len(p.command)], s.dir, filepath.Join(p.log, s.Name+".log"))
	supervisor := exec.Command(p.command[0], args...)
	supervisor.Dir = "/"
	supervisor.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	supervisor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := supervisor.Start(); err != nil {
		return fmt.Errorf("cannot start supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- supervisor.Wait() }()
	for {
		if holder(s) == supervisor.Process.Pid {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("cannot start supervisor: it ended at once: %v", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(beat / 10):
		}
	}
}

func (processes) running(_ context.Context, s service) (bool, error) { return holder(s) != 0, nil }

func (processes) failed(_ context.Context, s service) (string, bool, error) {
	reason, err := os.ReadFile(filepath.Join(s.dir, failureFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", false, nil
	}
	return string(reason), err == nil, err
}

// stop ends the supervisor, which ends its registry, or else the registry that a
// killed supervisor left.
func (processes) stop(ctx context.Context, s service) error {
	if pid := holder(s); pid != 0 {
		supervised := func() bool { return holder(s) == pid }
		if err := terminate(ctx, pid, supervised); err != nil {
			return fmt.Errorf("cannot stop supervisor: %w", err)
		}
	}
	pid, began := s.process()
	if pid == 0 {
		return nil
	}
	runs := func() bool { return beginning(pid) == began }
	if err := terminate(ctx, pid, runs); err != nil {
		return fmt.Errorf("cannot stop registry: %w", err)
	}
	return nil
}

func (processes) forget(context.Context, service) error { return nil }

// terminate asks a process to end, and makes it end when it has had its time.
func terminate(ctx context.Context, pid int, runs func() bool) error {
	if !runs() {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	// The supervisor gives its registry stopSeconds; this is a little more.
	for end := time.Now().Add((stopSeconds + 5) * time.Second); time.Now().Before(end); {
		if !runs() {
			return nil
		}
		if !pause(ctx, beat/5) {
			return ctx.Err()
		}
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// holder is the process that supervises s, 0 if none does. The kernel knows: it
// frees the lock whichever way its holder ends, and an ID that is used again holds none.
func holder(s service) int {
	file, err := os.Open(filepath.Join(s.dir, lockFile))
	if err != nil {
		return 0
	}
	defer file.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock); err != nil || lock.Type == syscall.F_UNLCK {
		return 0
	}
	return int(lock.Pid)
}

// process is the registry's process as its supervisor noted it, 0 if it did not.
func (s service) process() (pid int, began string) {
	text, err := os.ReadFile(filepath.Join(s.dir, processFile))
	if err != nil {
		return 0, ""
	}
	first, began, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	pid, err = strconv.Atoi(first)
	if err != nil || began == "" {
		return 0, ""
	}
	return pid, began
}

// beginning is when a process began, in clock ticks since the machine did, "" if it
// does not run: field 22 of /proc/PID/stat, proc(5).
func beginning(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The command's name, in parentheses, may hold anything.
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// lastWords is why the service's registry ended.
func (s service) lastWords(err error) string {
	text, _ := os.ReadFile(s.words())
	if words := admin.LastWords(string(text)); words != "" {
		return words
	}
	return fmt.Sprintf("registry ended without saying why: %v", err)
}
