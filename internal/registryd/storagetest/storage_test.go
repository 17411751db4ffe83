// Package storagetest runs the registry as an operator does, as a process with a configuration file, on
// every kind of storage that it has, and takes the storage away from it. It has no code, only tests; how
// the drivers behave apart from the registry is for their own tests.
//
// The engines are real servers, which docker-registry-operator/tests/engine starts. A test on an engine
// that this machine lacks is skipped.
package storagetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, end := range ends {
		end()
	}
	os.Exit(code)
}

// ends are what is left to do when all tests have ended: engines are shared by tests.
var ends []func()

func atEnd(end func()) { ends = append(ends, end) }

// buildRegistry compiles the registry as the Makefile does and returns its path.
var buildRegistry = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "storagetest-")
	if err != nil {
		return "", err
	}
	atEnd(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "registry")
	build := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
		"-o", program, "docker-registry-operator/cmd/registry")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the registry: %w\n%s", err, out)
	}
	return program, nil
})

// section is a part of a configuration file.
type section = map[string]any

// each runs a test on every backend.
func each(t *testing.T, backends []*backend, test func(*testing.T, *backend)) {
	if testing.Short() {
		t.Skip("compiles programs")
	}
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			b.prepare(t)
			test(t, b)
		})
	}
}

// directory is a name for the images of a test, apart from those of other tests on the same engine.
func directory(t *testing.T) string {
	return "/" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
}
