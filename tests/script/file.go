package script

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
)

// files moves things between a script and its machines.
func files() map[string]command {
	return map[string]command{
		"put":         {3, 4, put},
		"keep":        {1, 2, keep},
		"certificate": {1, many, makeCertificate},
		"conceals":    {2, many, conceals},
	}
}

// host finds the machine of a unit, or one by its own name.
func (w *world) host(name string) (*machine.Machine, error) {
	if m, ok := w.machines[name]; ok {
		return m, nil
	}
	u, err := w.unit(name)
	if err != nil {
		return nil, err
	}
	return u.Machine(), nil
}

func put(_ context.Context, w *world, ts *testscript.TestScript, args []string) (string, error) {
	m, err := w.host(args[0])
	if err != nil {
		return "", err
	}
	mode := uint64(0o644)
	if len(args) == 4 {
		if mode, err = strconv.ParseUint(args[3], 8, 32); err != nil {
			return "", fmt.Errorf("cannot read mode: %w", err)
		}
	}
	data, err := os.ReadFile(ts.MkAbs(args[1]))
	if err != nil {
		return "", err
	}
	return "", m.WriteFile(args[2], data, os.FileMode(mode))
}

// keep looks at what the command before has printed.
func keep(_ context.Context, _ *world, ts *testscript.TestScript, args []string) (string, error) {
	printed := ts.ReadFile("stdout")
	if len(args) == 1 {
		ts.Setenv(args[0], strings.TrimSpace(printed))
		return printed, nil
	}
	wanted, err := regexp.Compile(args[1])
	if err != nil {
		return "", err
	}
	found := wanted.FindStringSubmatch(printed)
	if found == nil {
		return "", fmt.Errorf("nothing printed matches %q", args[1])
	}
	ts.Setenv(args[0], found[len(found)-1])
	return printed, nil
}

func conceals(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	return "", Conceals(ctx, u, args[1:]...)
}

// Conceals fails if one of the texts is where people look who may not know a secret: in all that hooks
// and actions have logged and printed, in the arguments of every process, and in what the engine tells
// of its containers. The agent itself, at TRACE, logs every option.
func Conceals(ctx context.Context, u *juju.Unit, secrets ...string) error {
	script := `cat /proc/[0-9]*/cmdline | tr '\0' ' '; if [ -S /run/docker.sock ]; then docker ps -aq | xargs -r docker inspect; fi`
	shown, err := u.Machine().Command(ctx, "sh", "-c", script).Output()
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", u.Name(), err)
	}
	text := string(shown) + "\n"
	for _, hook := range u.Hooks() {
		for _, line := range hook.Log {
			text += hook.Name + ": " + line.Message + "\n"
		}
	}
	for _, secret := range secrets {
		for line := range strings.Lines(text) {
			if strings.Contains(line, secret) {
				return fmt.Errorf("%s shows %q: %s", u.Name(), secret, line)
			}
		}
	}
	return nil
}
