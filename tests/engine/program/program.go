// Package program compiles programs that the tests run as a person does: clients of registries, servers, a
// suite. What to do with them is the caller's.
package program

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"docker-registry-operator/tests/engine/process"
)

// The clients that there are. Of which version is in the go.mod of docker-registry-operator/tests/programs.
const (
	Oras     = "oras.land/oras/cmd/oras"
	Regctl   = "github.com/regclient/regclient/cmd/regctl"
	Notation = "github.com/notaryproject/notation/cmd/notation"
)

// Build compiles a client into the project's build directory and returns its path. It links nothing anew when
// the client is up to date, and is safe to call from several processes at a time.
func Build(ctx context.Context, client string) (string, error) {
	return within(ctx, "programs", client, func(tests, program string) error {
		return run(ctx, filepath.Join(tests, "programs"), "", "build", "-trimpath", "-ldflags=-s -w", "-o", program, client)
	})
}

// Install compiles a program of a module of its own, of that version, as Build does. Nothing is done when it
// is there already.
func Install(ctx context.Context, source, version string) (string, error) {
	return within(ctx, path.Base(source)+"-"+version, source, func(_, program string) error {
		if _, err := os.Stat(program); err == nil {
			return nil
		}
		return run(ctx, "", filepath.Dir(program), "install", "-trimpath", "-ldflags=-s -w", source+"@"+version)
	})
}

// within holds the lock of a directory of the project's build directory while compile makes the program of
// that source in it. compile is told the directory of the tests, too.
func within(ctx context.Context, directory, source string, compile func(tests, program string) error) (program string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot build %s: %w", path.Base(source), err)
		}
	}()
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "docker-registry-operator/tests/engine").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find module of the engines: %w", err)
	}
	tests := filepath.Dir(strings.TrimSpace(string(module)))
	dir := filepath.Join(filepath.Dir(tests), "build", directory)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := process.Lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	program = filepath.Join(dir, path.Base(source))
	return program, compile(tests, program)
}

// run runs go in dir. What is installed goes to bin.
func run(ctx context.Context, dir, bin string, arguments ...string) error {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if bin != "" {
		command.Env = append(command.Env, "GOBIN="+bin)
	}
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
