package machine_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"docker-registry-operator/tests/machine"
)

// TestDyingOwner is not a test of its own: TestDeadOwnersAreSweptAway runs it in a process that it
// kills.
func TestDyingOwner(t *testing.T) {
	if os.Getenv("MACHINE_TEST_DYING_OWNER") == "" {
		t.Skip("run by TestDeadOwnersAreSweptAway")
	}
	m := newMachine(t, machine.Options{Engine: true})
	if err := m.Command(t.Context(), "sleep", "98765").Start(); err != nil {
		t.Fatal(err)
	}
	await(t, m, true, "sleep 98765")
	fmt.Println("made")
	time.Sleep(time.Hour)
}

func TestDeadOwnersAreSweptAway(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	owner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDyingOwner$", "-test.v")
	owner.Env = append(os.Environ(), "MACHINE_TEST_DYING_OWNER=1")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "made" {
		if strings.HasPrefix(lines.Text(), "--- SKIP") {
			t.Skip("machines need root")
		}
	}
	homes, err := filepath.Glob(filepath.Join(temp, "*", "machine-*"))
	if err != nil || len(homes) != 1 {
		t.Fatalf("homes: %q, %v", homes, err)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	awaitNoProcess(t, "sleep\x0098765\x00")

	newMachine(t, machine.Options{})
	if _, err := os.Stat(homes[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("home of a dead owner: %v", err)
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*/" + filepath.Base(homes[0]))
	if err != nil || len(groups) != 0 {
		t.Errorf("cgroups of a dead owner: %q, %v", groups, err)
	}
}

// awaitNoProcess waits until the host has no process with these arguments.
func awaitNoProcess(t *testing.T, args string) {
	t.Helper()
	for range 500 {
		found := false
		processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, process := range processes {
			data, err := os.ReadFile(process)
			found = found || (err == nil && string(data) == args)
		}
		if !found {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%q outlived the owner of its machine", args)
}
