package s3

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"docker-registry-operator/tests/engine/process"
)

// What is built, and of which version: another may answer differently.
const versitygw, version = "github.com/versity/versitygw/cmd/versitygw", "v1.8.0"

// Program compiles versitygw into the project's build directory and returns its path, for those who run it
// themselves. Only the first call takes minutes; it is safe to call from several processes at a time.
func Program(ctx context.Context) (string, error) {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "docker-registry-operator/tests/engine").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find module of the engines: %w", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(module)), "..", "..", "build", "versitygw-"+version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot build versitygw: %w", err)
	}
	unlock, err := process.Lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", fmt.Errorf("cannot build versitygw: %w", err)
	}
	defer unlock()
	program := filepath.Join(dir, "versitygw")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	install := exec.CommandContext(ctx, "go", "install", "-trimpath", "-ldflags=-s -w", versitygw+"@"+version)
	install.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build versitygw: %w\n%s", err, out)
	}
	return program, nil
}
