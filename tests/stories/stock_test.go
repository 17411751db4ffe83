package stories

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// stock is the command of a script that compiles distribution's own registry, of the version that
// the project uses, and keeps its path as $STOCK.
func stock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: stock")
	}
	program := ts.MkAbs("stock-registry")
	ts.Check(buildStock(ts.MkAbs("stock-module"), program))
	ts.Setenv("STOCK", program)
}

// buildStock compiles in the project's module, since what is in the build cache is of there. The
// command imports more than the project does, so it gets go.mod and go.sum of its own to add to.
func buildStock(dir, program string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, name), content, 0o644)); err != nil {
			return err
		}
	}
	build := exec.Command("go", "build", "-modfile="+filepath.Join(dir, "go.mod"), "-mod=mod", "-trimpath",
		"-buildvcs=false", "-ldflags=-s -w", "-o", program, "github.com/distribution/distribution/v3/cmd/registry")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build distribution's registry: %w\n%s", err, out)
	}
	return nil
}
