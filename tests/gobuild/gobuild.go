// Package gobuild compiles the programs that the tests run beside themselves: the init process of a
// machine, the unit agent, the hook tools. What is built stays in the module's build directory, so
// that only the first run pays for it; when to build and what to do with it is the caller's.
package gobuild

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"docker-registry-operator/tests/engine/process"
)

// Program compiles the main package pkg into the build directory of the module that the working
// directory belongs to, under the last element of pkg, and returns the path of the program. It links
// nothing anew when the program is up to date, and is safe to call from several processes at a time.
func Program(ctx context.Context, pkg string) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot build %s: %w", pkg, err)
	}
	dir := filepath.Join(root, "build")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot build %s: %w", pkg, err)
	}
	unlock, err := process.Lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", fmt.Errorf("cannot build %s: %w", pkg, err)
	}
	defer unlock()

	program := filepath.Join(dir, filepath.Base(pkg))
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", program, pkg)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build %s: %w\n%s", pkg, err, out)
	}
	return program, nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
