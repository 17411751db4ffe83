package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"docker-registry-operator/internal/admin"
)

// unitDir is where an administrator's, and so a charm's, units are.
const unitDir = "/etc/systemd/system"

// systemd keeps services running as units of their own: two of them can run beside
// each other, which instances of one unit cannot once their settings differ.
type systemd struct {
	units string
	run   func(ctx context.Context, args ...string) (stdout string, err error)
}

// systemctl runs the command of that name.
func systemctl(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "systemctl", args...)
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("cannot run systemctl %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

func (systemd) unit(s service) string {
	return "docker-registry-" + s.Name + "-" + s.ID + ".service"
}

func (d systemd) file(s service) string { return filepath.Join(d.units, d.unit(s)) }

func (d systemd) start(ctx context.Context, s service) error {
	if err := replaceFile(d.file(s), []byte(unitText(s)), 0o644); err != nil {
		return fmt.Errorf("cannot write unit: %w", err)
	}
	if _, err := d.run(ctx, "daemon-reload"); err != nil {
		return err
	}
	_, err := d.run(ctx, "enable", "--now", "--no-block", d.unit(s))
	return err
}

func (d systemd) running(ctx context.Context, s service) (bool, error) {
	state, err := d.show(ctx, s)
	switch state["ActiveState"] {
	case "active", "activating", "reloading":
		return true, err
	}
	return false, err
}

func (d systemd) failed(ctx context.Context, s service) (string, bool, error) {
	state, err := d.show(ctx, s)
	if err != nil {
		return "", false, err
	}
	if state["ActiveState"] != "failed" && state["SubState"] != "auto-restart" && state["NRestarts"] == "0" {
		return "", false, nil
	}
	// From 200 on it is systemd that failed, before the registry ran (systemd.exec(5)).
	if status, err := strconv.Atoi(state["ExecMainStatus"]); err == nil && status >= 200 {
		return fmt.Sprintf("systemd cannot start it: status %d, see `systemctl status %s`", status, d.unit(s)), true, nil
	}
	// While systemd starts it again there are no words yet.
	text, err := os.ReadFile(s.words())
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	reason := admin.LastWords(string(text))
	return reason, reason != "", err
}

func (d systemd) show(ctx context.Context, s service) (map[string]string, error) {
	text, err := d.run(ctx, "show", "--property", "ActiveState,SubState,NRestarts,ExecMainStatus", d.unit(s))
	if err != nil {
		return nil, err
	}
	state := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		state[name] = value
	}
	return state, nil
}

func (d systemd) stop(ctx context.Context, s service) error {
	if _, err := os.Stat(d.file(s)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	_, err := d.run(ctx, "stop", d.unit(s))
	return err
}

func (d systemd) forget(ctx context.Context, s service) error {
	if _, err := os.Stat(d.file(s)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if _, err := d.run(ctx, "disable", d.unit(s)); err != nil {
		return err
	}
	if err := os.Remove(d.file(s)); err != nil {
		return fmt.Errorf("cannot remove unit: %w", err)
	}
	_, err := d.run(ctx, "daemon-reload")
	return err
}
