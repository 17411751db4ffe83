package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// childEnv makes the test binary the registry.
const childEnv = "REGISTRY_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yml"), filepath.Join(dir, "bad.yml")
	write(t, good, "version: 0.1\nstorage: inmemory\n")
	write(t, bad, "version: 0.1\nstorage: {floppy: {}}\n")
	secret := filepath.Join(dir, "bad.env")
	write(t, secret, "\nhttp://user:hidden@proxy\n")
	for _, test := range []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string // its last line contains this
	}{
		{"version", []string{"version"}, 0, "v3.1.2\n", ""},
		{"help", []string{"--help"}, 0, usage, ""},
		{"help of serve", []string{"serve", "--help"}, 0, usage, ""},
		{"nothing", nil, 2, "", "no command"},
		{"unknown", []string{"fly"}, 2, "", `unknown command "fly"`},
		{"no file", []string{"serve"}, 2, "", "want one configuration file, got 0"},
		{"two files", []string{"check", "a", "b"}, 2, "", "want one configuration file, got 2"},
		{"unknown flag", []string{"check", "--admin", "x", good}, 2, "", "flag provided but not defined"},
		{"bad user", []string{"serve", "--user", "root", good}, 2, "", "must be UID:GID"},
		{"no environment", []string{"serve", "--environment", filepath.Join(dir, "nosuch"), good}, 1, "", "cannot read environment: open "},
		{"bad environment", []string{"serve", "--environment", secret, good}, 1, "", "bad.env: line 2 is not of the form NAME=value"},
		{"check", []string{"check", good}, 0, "", ""},
		{"check refuses", []string{"check", bad}, 1, "", "floppy"},
		{"serve refuses", []string{"serve", bad}, 1, "", "floppy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(test.args, &stdout, &stderr); code != test.code {
				t.Errorf("code %d, want %d", code, test.code)
			}
			if test.code == 0 && stdout.String() != test.stdout {
				t.Errorf("stdout %q, want %q", stdout.String(), test.stdout)
			}
			if strings.Contains(stderr.String(), "hidden") {
				t.Errorf("stderr shows a secret: %q", stderr.String())
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			if last := lines[len(lines)-1]; !strings.Contains(last, test.stderr) {
				t.Errorf("last line on stderr %q does not say %q", last, test.stderr)
			}
		})
	}
}

// TestSignals runs the registry as a process of its own.
func TestSignals(t *testing.T) {
	for _, stop := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(stop.String(), func(t *testing.T) {
			config := filepath.Join(t.TempDir(), "config.yml")
			write(t, config, "version: 0.1\nstorage: inmemory\nhttp: {addr: '127.0.0.1:0'}\n")
			cmd := exec.Command("/proc/self/exe", "serve", config)
			cmd.Env = append(os.Environ(), childEnv+"=1")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill() }() // already gone unless the test failed
			lines := bufio.NewReader(out)
			awaitLine(t, lines, `"serving"`)
			signalProcess(t, cmd, syscall.SIGHUP)
			awaitLine(t, lines, `"configuration reloaded"`)
			signalProcess(t, cmd, stop)
			if _, err := io.Copy(io.Discard, lines); err != nil {
				t.Error(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("registry ended with %v, want 0", err)
			}
		})
	}
}

func signalProcess(t *testing.T, cmd *exec.Cmd, signal os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

func awaitLine(t *testing.T, lines *bufio.Reader, want string) {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("registry ended before it said %s: %v", want, err)
		}
		if strings.Contains(line, want) {
			return
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
