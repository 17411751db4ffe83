package gobuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"docker-registry-operator/tests/engine/process"
)

// Stock compiles distribution's own registry, of the version that the project uses, into the build
// directory and returns its path. It links nothing anew when the program is up to date, and is safe to
// call from several processes at a time.
func Stock(ctx context.Context) (string, error) {
	program, err := stock(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot build distribution's registry: %w", err)
	}
	return program, nil
}

// stock compiles in the project's module, since what is in the build cache is of there. The command
// imports more than the project does, so it gets go.mod and go.sum of its own to add to.
func stock(ctx context.Context) (string, error) {
	tests, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	project, dir := filepath.Dir(tests), filepath.Join(tests, "build", "stock")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := process.Lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(project, name))
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, name), content, 0o644)); err != nil {
			return "", err
		}
	}
	program := filepath.Join(dir, "registry")
	build := exec.CommandContext(ctx, "go", "build", "-modfile="+filepath.Join(dir, "go.mod"), "-mod=mod", "-trimpath",
		"-buildvcs=false", "-ldflags=-s -w", "-o", program, "github.com/distribution/distribution/v3/cmd/registry")
	build.Dir = project
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
}
