package host

import (
	"context"
	"fmt"
	"strings"
)

// fakeRunner is a machine's package manager and systemd, as far as commands go.
type fakeRunner struct {
	// lines are the commands that were run, and env what they were given.
	lines []string
	env   map[string][]string
	// has are programs that are there; fail are the outputs of commands that fail, by
	// how their line begins.
	has  map[string]bool
	fail map[string]string
	// failures bounds how often they fail; 0 is always.
	failures int
	// say is what commands print, by their line.
	say map[string]string
	// ran is called after each command.
	ran func(line string)
}

func (r *fakeRunner) Run(_ context.Context, c Command) (string, error) {
	line := strings.Join(c.Args, " ")
	// What apt-get is always told would hide what it is told now.
	line = strings.Replace(line, "apt-get --yes --quiet -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold", "apt-get", 1)
	line = strings.Replace(line, "apt-get update --error-on=any", "apt-get update", 1)
	r.lines = append(r.lines, line)
	if r.env == nil {
		r.env = map[string][]string{}
	}
	r.env[line] = c.Env
	for prefix, output := range r.fail {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		if r.failures--; r.failures == 0 {
			delete(r.fail, prefix)
		}
		return output, fmt.Errorf("%s: %s", c.Args[0], tail(output, "exit status 100"))
	}
	if r.ran != nil {
		r.ran(line)
	}
	if c.Args[0] == "dpkg-query" {
		return "installed", nil
	}
	return r.say[line], nil
}

func (r *fakeRunner) Start(c Command) (<-chan struct{}, error) {
	_, err := r.Run(context.Background(), c)
	return make(chan struct{}), err
}

func (r *fakeRunner) Has(program string) bool { return r.has[program] }
