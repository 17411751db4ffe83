// Package program compiles clients of registries that the tests run as a person does. What is built, and of
// which version, is in the go.mod of docker-registry-operator/tests/programs; what to do with a client is the
// caller's.
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

// The clients that there are.
const (
	Oras     = "oras.land/oras/cmd/oras"
	Regctl   = "github.com/regclient/regclient/cmd/regctl"
	Notation = "github.com/notaryproject/notation/cmd/notation"
)

// Build compiles a client into the project's build directory and returns its path. It links nothing anew when
// the client is up to date, and is safe to call from several processes at a time.
func Build(ctx context.Context, client string) (string, error) {
	built, err := build(ctx, client)
	if err != nil {
		return "", fmt.Errorf("cannot build %s: %w", path.Base(client), err)
	}
	return built, nil
}

func build(ctx context.Context, client string) (string, error) {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "docker-registry-operator/tests/engine").Output()
	if err != nil {
		return "", err
	}
	tests := filepath.Dir(strings.TrimSpace(string(module)))
	dir := filepath.Join(filepath.Dir(tests), "build", "programs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := process.Lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	built := filepath.Join(dir, path.Base(client))
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", built, client)
	command.Dir = filepath.Join(tests, "programs")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return built, nil
}
