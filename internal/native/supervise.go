package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// The pause before a registry is started again doubles with each time, from the first
// to the longest; one that ran for steady counts as new.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 30 * time.Second
	steady       = time.Minute
)

// maxLog is the size in bytes at which a log is set aside; one old log is kept.
const maxLog = 10 << 20

// Supervise runs the service of a directory until its registry ends with exit code 0
// or ctx ends, and then lets the registry finish what it does. Output goes to log.
// It is the body of the process that Options.Supervisor starts.
func Supervise(ctx context.Context, dir, log string) error {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("cannot supervise registry: %w", err)
	}
	defer lock.Close()
	if err := syscall.FcntlFlock(lock.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}); err != nil {
		return fmt.Errorf("cannot supervise registry: another supervisor does: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, planFile))
	if err != nil {
		return fmt.Errorf("cannot supervise registry: %w", err)
	}
	s := service{dir: dir}
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("cannot supervise registry: %w", err)
	}
	return s.supervise(ctx, log)
}

func (s service) supervise(ctx context.Context, log string) error {
	wait := firstPause
	for {
		began := time.Now()
		err := s.run(ctx, log)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > steady {
			wait = firstPause
		}
		if err := replaceFile(filepath.Join(s.dir, failureFile), []byte(s.lastWords(err)), 0o644); err != nil {
			return fmt.Errorf("cannot note why registry ended: %w", err)
		}
		if !pause(ctx, wait) {
			return nil
		}
		wait = min(2*wait, longestPause)
	}
}

// run runs the registry once. The error is nil if it ended with exit code 0.
func (s service) run(ctx context.Context, log string) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	defer out.Close()
	words, err := os.Create(s.words())
	if err != nil {
		return err
	}
	defer words.Close()
	registry := exec.Command(s.Binary, s.arguments()...)
	registry.Dir = "/"
	registry.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, s.Env...)
	// The files themselves, not pipes through this process: a registry must be able to
	// outlive its supervisor.
	registry.Stdout, registry.Stderr = out, words
	registry.SysProcAttr = s.attributes()
	if err := registry.Start(); err != nil {
		return err
	}
	pid := registry.Process.Pid
	note := fmt.Sprintf("%d %s\n", pid, beginning(pid))
	noted := replaceFile(filepath.Join(s.dir, processFile), []byte(note), 0o644)
	return errors.Join(noted, s.watch(ctx, registry, log))
}

// attributes make the registry its own user's. With capabilities it starts as root
// and becomes that user by itself.
func (s service) attributes() *syscall.SysProcAttr {
	if os.Geteuid() != 0 || len(s.Capabilities) > 0 {
		return &syscall.SysProcAttr{}
	}
	user := &syscall.Credential{Uid: uint32(s.User.UID), Gid: uint32(s.User.GID)}
	return &syscall.SysProcAttr{Credential: user}
}

func (s service) watch(ctx context.Context, registry *exec.Cmd, log string) error {
	ended := make(chan error, 1)
	go func() { ended <- registry.Wait() }()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			if err := bound(log, maxLog); err != nil {
				fmt.Fprintln(registry.Stderr, err)
			}
		case <-ctx.Done():
			return finish(registry, ended)
		}
	}
}

// finish lets a registry finish its requests, within bounds.
func finish(registry *exec.Cmd, ended <-chan error) error {
	if err := registry.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(stopSeconds * time.Second):
		return errors.Join(registry.Process.Kill(), <-ended)
	}
}

// bound copies a log that is longer than limit aside and empties it. Registries hold
// it open to append, so it cannot be renamed; what they write in between is lost.
func bound(log string, limit int64) error {
	info, err := os.Stat(log)
	if err != nil || info.Size() <= limit {
		return err
	}
	from, err := os.Open(log)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(log+".1", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close(), os.Truncate(log, 0))
}
