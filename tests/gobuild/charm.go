package gobuild

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"docker-registry-operator/tests/engine/process"
)

// Charm packs the project's charm for this machine as a person would, and returns its path. It is safe
// to call from several processes at a time: equal sources make equal charms.
func Charm(ctx context.Context) (string, error) {
	tests, err := moduleRoot(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot pack charm: %w", err)
	}
	project := filepath.Dir(tests)
	build := filepath.Join(tests, "build")
	if err := os.MkdirAll(build, 0o755); err != nil {
		return "", fmt.Errorf("cannot pack charm: %w", err)
	}
	unlock, err := process.Lock(filepath.Join(build, ".charm.lock"))
	if err != nil {
		return "", fmt.Errorf("cannot pack charm: %w", err)
	}
	defer unlock()
	out, err := exec.CommandContext(ctx, "make", "-C", project, "charm", "ARCH="+runtime.GOARCH).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot pack charm: %w\n%s", err, out)
	}
	return filepath.Join(project, "build", "docker-registry_"+runtime.GOARCH+".charm"), nil
}
