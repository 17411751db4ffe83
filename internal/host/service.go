package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// waiting is how long things may take; tests have less patience.
type waiting struct {
	// start bounds how long an engine may take until it answers. Its first start
	// makes directories and keys: 2.5 s on an idle machine.
	start time.Duration
	// reload bounds how long an engine may take to see a change of its options.
	reload time.Duration
	// poll is the pause between two questions.
	poll time.Duration
	// retry is the pause before a package list is tried again, doubled each time.
	retry time.Duration
}

var realTime = waiting{start: time.Minute, reload: 5 * time.Second, poll: 50 * time.Millisecond, retry: 5 * time.Second}

// dropIn is the charm's addition to docker.service.
const dropIn = "/etc/systemd/system/docker.service.d/docker-registry-charm.conf"

// engineDefaults is where Debian's service has arguments for the engine from.
const engineDefaults = "/etc/default/docker"

// engineLog takes what an engine prints that the charm started itself.
const engineLog = "/var/log/docker.log"

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// start starts the engine and waits until it answers.
func (e *Engine) start(ctx context.Context, engine config.Engine) error {
	ended := make(<-chan struct{})
	if e.systemd {
		// A unit that failed three times within a minute is not tried again by itself.
		_, _ = e.run.Run(ctx, Command{Args: []string{"systemctl", "reset-failed", "docker.service"}})
		if _, err := e.run.Run(ctx, Command{Args: []string{"systemctl", "enable", "--now", "docker.service"}}); err != nil {
			return fmt.Errorf("cannot start the Docker Engine: %w", err)
		}
	} else if !e.daemon.Answers(ctx) {
		var err error
		if ended, err = e.launch(engine); err != nil {
			return fmt.Errorf("cannot start the Docker Engine: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, e.wait.start)
	defer cancel()
	for !e.daemon.Answers(ctx) {
		select {
		case <-ended:
			return fmt.Errorf("cannot start the Docker Engine: %s", e.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("cannot start the Docker Engine: no answer at %q after %v: %s", e.daemon.address, e.wait.start, e.lastWords())
		case <-time.After(e.wait.poll):
		}
	}
	e.log.Info("Docker Engine started")
	return nil
}

// launch starts dockerd where no systemd does. Debian's init script is no help: it
// raises a limit that a container may not raise, and gives up.
func (e *Engine) launch(engine config.Engine) (<-chan struct{}, error) {
	dropPidFile(e.daemon.pidFile, "dockerd")
	dropPidFile(e.daemon.containerdPID, "containerd")
	args := []string{e.program}
	if !e.daemon.standard() {
		args = append(args, "--host", e.daemon.address)
	}
	return e.run.Start(Command{
		Args: append(args, engine.Opts...),
		Env:  engineEnv(engine),
		Log:  e.layout.On(engineLog),
	})
}

// dropPidFile removes a pid file whose process is not of this name any more. Dockerd
// refuses to start as long as a process of that id exists, be it a zombie.
func dropPidFile(path, name string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		if _, runs := running(pid, name); runs {
			return
		}
	}
	// If it cannot be removed, dockerd says so better.
	_ = os.Remove(path)
}

// lastWords is the end of the engine's log.
func (e *Engine) lastWords() string {
	if e.systemd {
		return "see `journalctl -u docker.service`"
	}
	path := e.layout.On(engineLog)
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("see %q", path)
	}
	return tail(string(text), fmt.Sprintf("see %q", path))
}

// engineEnv is the environment that dockerd gets for its proxies.
func engineEnv(engine config.Engine) []string {
	var env []string
	for _, setting := range []struct{ name, value string }{
		{"HTTP_PROXY", engine.HTTPProxy.Reveal()},
		{"HTTPS_PROXY", engine.HTTPSProxy.Reveal()},
		{"NO_PROXY", engine.NoProxy},
	} {
		if setting.value != "" {
			env = append(env, setting.name+"="+setting.value)
		}
	}
	return env
}

// serviceFiles are what systemd needs to start dockerd with these options: a drop-in,
// and its environment in a file that only root can read. Settings in the drop-in
// itself would be shown to everybody by `systemctl show`.
func (e *Engine) serviceFiles(engine config.Engine) []desired.File {
	env := engineEnv(engine)
	if !e.systemd || len(env) == 0 && len(engine.Opts) == 0 {
		return nil
	}
	path := filepath.Join(e.layout.State(), "dockerd.env")
	// The dash lets docker start even if the file is gone.
	unit := "[Service]\nEnvironmentFile=-" + path + "\n"
	if len(engine.Opts) > 0 {
		opts, command := e.unitOpts()
		env = append(env, "DOCKER_OPTS="+strings.TrimSpace(opts+" "+strings.Join(engine.Opts, " ")))
		if command != "" {
			unit += "ExecStart=\nExecStart=" + command + " $DOCKER_OPTS\n"
		}
	}
	var text strings.Builder
	for _, setting := range env {
		name, value, _ := strings.Cut(setting, "=")
		fmt.Fprintf(&text, "%s=%s\n", name, quoteEnv(value))
	}
	return []desired.File{
		{Path: e.layout.On(dropIn), Content: []byte(unit), Mode: 0o644},
		{Path: path, Content: []byte(text.String()), Mode: 0o600},
	}
}

// unitOpts looks at the service as its package brings it: which options /etc/default
// gives it already, and, if it does not use that variable, its command. What a
// predecessor wrote there was option docker-opts, which would then be given twice.
func (e *Engine) unitOpts() (opts, command string) {
	defaults, _ := os.ReadFile(e.layout.On(engineDefaults))
	if generated(defaults) {
		defaults = nil
	}
	for line := range strings.Lines(string(defaults)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "DOCKER_OPTS="); ok {
			opts = strings.Trim(value, `"'`)
		}
	}
	for _, dir := range []string{"/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"} {
		unit, err := os.ReadFile(e.layout.On(dir + "/docker.service"))
		if err != nil {
			continue
		}
		if strings.Contains(string(unit), "$DOCKER_OPTS") {
			return opts, ""
		}
		for line := range strings.Lines(string(unit)) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart="); ok {
				return opts, value
			}
		}
	}
	return opts, ""
}

// generated says that a file is of a predecessor's layer that manages the engine.
func generated(content []byte) bool {
	return bytes.Contains(content, []byte("THIS FILE IS AUTOGENERATED BY JUJU"))
}

// quoteEnv quotes a value for an environment file: systemd.exec(5).
func quoteEnv(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", "$", `\$`).Replace(value) + `"`
}

// flag says that an argument sets a key of daemon.json, which dockerd refuses to take
// from both. Lists have a plural as a key and a singular as an argument.
func (p process) flag(key string) bool {
	names := []string{"--" + key, "--" + strings.TrimSuffix(key, "s"), "--" + strings.TrimSuffix(key, "ies") + "y"}
	return slices.ContainsFunc(p.args, func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		switch {
		case name == "-H" || strings.HasPrefix(name, "-H") && !strings.HasPrefix(name, "--"):
			return key == "hosts"
		case name == "-D":
			return key == "debug"
		case name == "-l":
			return key == "log-level"
		case name == "-s":
			return key == "storage-driver"
		case name == "-g":
			return key == "data-root"
		}
		return slices.Contains(names, name)
	})
}
