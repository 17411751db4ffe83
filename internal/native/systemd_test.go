package native

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/desired"
)

var update = flag.Bool("update", false, "write golden files")

func TestUnitText(t *testing.T) {
	plain := service{
		plan: plan{
			Unit: "docker-registry/0", Name: "registry", Binary: "/var/lib/docker-registry/bin/registry-0123456789ab",
			Args: []string{"serve", "--admin", anySocket, "/etc/docker/registry/config.yml"},
			User: desired.Identity{UID: 65532, GID: 65532},
			Mounts: []desired.Mount{
				{Path: "/etc/docker/registry", ReadOnly: true}, {Path: "/srv/registry"}, {Path: "/var/lib/docker-registry/run"},
			},
		},
		ID: "abcdefgh", Socket: "/var/lib/docker-registry/run/abcdefgh.sock", dir: "/var/lib/docker-registry/native/abcdefgh",
	}
	privileged := plain
	privileged.Args = []string{"serve", "--admin", anySocket, "--user", "65532:65532", "/etc/docker/registry/config.yml"}
	privileged.Capabilities = []string{"DAC_OVERRIDE", "NET_BIND_SERVICE"}
	privileged.Env = []string{`ODD=100% "sure" of $HOME \ and`, "NO_PROXY=10.0.0.0/8,localhost"}
	for name, s := range map[string]service{"plain": plain, "privileged": privileged} {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", name+".service")
			got := unitText(s)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("unit (-want +got):\n%s", diff)
			}
		})
	}
}

// fakeSystemd runs units of a directory as systemctl's arguments say, as the real one
// would but for their sandbox.
type fakeSystemd struct {
	t      *testing.T
	dir    string
	loaded map[string]string
	active map[string]*unitProcess
	calls  []string
}

type unitProcess struct {
	command *exec.Cmd
	ended   chan struct{}
}

func (f *fakeSystemd) run(_ context.Context, args ...string) (string, error) {
	f.calls = append(f.calls, args[0])
	unit := args[len(args)-1]
	switch args[0] {
	case "daemon-reload":
		return "", f.reload()
	case "enable":
		return "", f.start(unit)
	case "disable":
		_, known := f.loaded[unit]
		return "", orFailure(known, "unit is not loaded")
	case "show":
		return f.show(unit), nil
	case "stop":
		p := f.active[unit]
		if p == nil {
			return "", nil
		}
		err := p.command.Process.Signal(syscall.SIGTERM)
		<-p.ended
		if errors.Is(err, os.ErrProcessDone) {
			err = nil
		}
		return "", err
	}
	return "", fmt.Errorf("unknown command %q", args)
}

func orFailure(ok bool, text string) error {
	if ok {
		return nil
	}
	return errors.New(text)
}

func (f *fakeSystemd) reload() error {
	files, err := filepath.Glob(filepath.Join(f.dir, "*.service"))
	f.loaded = map[string]string{}
	for _, file := range files {
		text, readErr := os.ReadFile(file)
		f.loaded[filepath.Base(file)] = string(text)
		err = errors.Join(err, readErr)
	}
	return err
}

func (f *fakeSystemd) start(unit string) error {
	text, known := f.loaded[unit]
	if !known {
		return errors.New("unit is not loaded")
	}
	var command *exec.Cmd
	stderr := ""
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "ExecStart":
			words := strings.Split(strings.Trim(value, `"`), `" "`)
			command = exec.Command(words[0], words[1:]...)
		case "StandardError":
			stderr = strings.TrimPrefix(value, "truncate:")
		}
	}
	file, err := os.Create(stderr)
	if err != nil {
		return err
	}
	defer file.Close()
	command.Stderr = file
	if err := command.Start(); err != nil {
		return err
	}
	p := &unitProcess{command: command, ended: make(chan struct{})}
	f.active[unit] = p
	go func() {
		_ = command.Wait()
		close(p.ended)
	}()
	f.t.Cleanup(func() { _ = command.Process.Kill() })
	return nil
}

func (f *fakeSystemd) show(unit string) string {
	p := f.active[unit]
	if p == nil {
		return "ActiveState=inactive\nSubState=dead\nNRestarts=0\nExecMainStatus=0\n"
	}
	select {
	case <-p.ended:
		if status := p.command.ProcessState.ExitCode(); status != 0 {
			return fmt.Sprintf("ActiveState=activating\nSubState=auto-restart\nNRestarts=0\nExecMainStatus=%d\n", status)
		}
		return "ActiveState=inactive\nSubState=dead\nNRestarts=0\nExecMainStatus=0\n"
	default:
		return "ActiveState=active\nSubState=running\nNRestarts=0\nExecMainStatus=0\n"
	}
}

func newSystemdStage(t *testing.T) (*stage, *fakeSystemd) {
	t.Helper()
	s := newStage(t)
	f := &fakeSystemd{t: t, dir: t.TempDir(), active: map[string]*unitProcess{}}
	s.supervisor = systemd{units: f.dir, run: f.run}
	return s, f
}

func TestSystemd(t *testing.T) {
	s, f := newSystemdStage(t)
	units := func(want int) {
		t.Helper()
		files, err := os.ReadDir(f.dir)
		if err != nil || len(files) != want {
			t.Fatalf("units %v, error %v; want %d", files, err, want)
		}
	}
	s.ensure("created")
	units(1)
	f.calls = nil
	s.idle()
	if diff := cmp.Diff([]string{"show"}, f.calls); diff != "" {
		t.Errorf("calls of a hook that changes nothing (-want +got):\n%s", diff)
	}

	stop := s.load()
	s.w.Env = []string{"X=1"}
	s.ensure("replaced")
	if requests, failed := stop(); failed != nil || requests == 0 {
		t.Errorf("%d requests, failed: %v", requests, failed)
	}
	units(1)

	before := s.answer()
	s.w.Env = []string{"X=2"}
	s.configure("refuse=bucket must be set\n")
	_, err := s.Ensure(t.Context(), s.w)
	var refused *desired.Refused
	if !errors.As(err, &refused) || refused.Reason != "bucket must be set" {
		t.Errorf("got %v, want the refusal", err)
	}
	if s.answer() != before {
		t.Error("the predecessor does not serve on")
	}
	units(1)

	s.w.Stopped = true
	s.ensure("stopped")
	units(0)
}

func TestSystemdCannotStart(t *testing.T) {
	s := service{plan: plan{Name: "registry"}, ID: "abcdefgh", dir: t.TempDir()}
	d := systemd{units: t.TempDir(), run: func(context.Context, ...string) (string, error) {
		return "ActiveState=activating\nSubState=auto-restart\nNRestarts=3\nExecMainStatus=226\n", nil
	}}
	reason, failed, err := d.failed(t.Context(), s)
	want := "systemd cannot start it: status 226, see `systemctl status docker-registry-registry-abcdefgh.service`"
	if reason != want || !failed || err != nil {
		t.Errorf("got %q, %v, %v; want %q", reason, failed, err, want)
	}
}
