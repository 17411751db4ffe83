package actions

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/operator"
)

// asked is an action that remembers what it was told.
type asked struct {
	name    string
	params  map[string]any
	log     []string
	results map[string]string
	failure string
}

func (a *asked) Name() string                                   { return a.name }
func (a *asked) Params(context.Context) (map[string]any, error) { return a.params, nil }
func (a *asked) Log(_ context.Context, line string) error       { a.log = append(a.log, line); return nil }
func (a *asked) Fail(_ context.Context, message string) error   { a.failure = message; return nil }
func (a *asked) Set(_ context.Context, results map[string]string) error {
	a.results = results
	return nil
}

// machine is a unit with a Docker Engine that has the images of its list.
type machine struct {
	access   operator.Access
	notReady error
	images   map[string]bool
	done     []string
}

func (m *machine) Access(context.Context) (operator.Access, error) { return m.access, m.notReady }

func (m *machine) Pause(_ context.Context, remove bool) error {
	m.done = append(m.done, fmt.Sprintf("pause %v", remove))
	return nil
}

func (m *machine) Resume(context.Context) error {
	m.done = append(m.done, "resume")
	return nil
}

func (m *machine) ForgetStorage(context.Context) error {
	m.done = append(m.done, "forget storage")
	return nil
}

func (m *machine) Workload(context.Context) (string, error) { return "registry", nil }

func (m *machine) Pull(_ context.Context, ref string, progress func(string)) error {
	if strings.HasPrefix(ref, "nosuch") {
		return errors.New("cannot pull " + ref + ": not found")
	}
	progress("50%")
	m.images[ref] = true
	return nil
}

func (m *machine) Tag(_ context.Context, ref, tag string) error {
	if !m.images[ref] {
		return errors.New("cannot tag " + ref + ": no such image")
	}
	m.images[tag] = true
	return nil
}

func (m *machine) Push(_ context.Context, ref, user string, password config.Secret, _ func(string)) error {
	m.done = append(m.done, fmt.Sprintf("push %s as %q with %q", ref, user, password.Reveal()))
	return nil
}

func (m *machine) command(_ context.Context, name string, args ...string) (string, error) {
	switch {
	case len(args) > 1 && args[1] == "--nosuch":
		return "", errors.New("unknown flag: --nosuch")
	case len(args) > 1 && args[1] == "absent":
		return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
	}
	return fmt.Sprintf("%s %q", name, args), nil
}

func newMachine() *machine {
	return &machine{
		images: map[string]bool{"local:1": true},
		access: operator.Access{
			Netloc:   "registry.example.com",
			Netlocs:  []string{"10.0.0.5:5000", "registry.example.com"},
			User:     "admin",
			Password: config.NewSecret("s3cret"),
			Engine:   true,
		},
	}
}

func run(t *testing.T, m *machine, name string, params map[string]any) *asked {
	t.Helper()
	action := &asked{name: name, params: params}
	if err := Run(t.Context(), action, Tools{Unit: m, Engine: m, Command: m.command}); err != nil {
		t.Fatal(err)
	}
	return action
}

func TestActionsSucceed(t *testing.T) {
	pushed := func(tag string) []string { return []string{fmt.Sprintf(`push %s as "admin" with "s3cret"`, tag)} }
	for _, test := range []struct {
		name   string
		action string
		params map[string]any
		want   map[string]string
		done   []string
	}{
		{
			"default tag", "push", map[string]any{"image": "ubuntu:24.04", "pull": true},
			map[string]string{"outcome": "success", "raw": "pushed registry.example.com/ubuntu:24.04"},
			pushed("registry.example.com/ubuntu:24.04"),
		},
		{
			"default tag of a long name", "push", map[string]any{"image": "quay.io:443/team/app"},
			map[string]string{"outcome": "success", "raw": "pushed registry.example.com/app:latest"},
			pushed("registry.example.com/app:latest"),
		},
		{
			"image of the engine", "push", map[string]any{"image": "local:1", "pull": false, "tag": "10.0.0.5:5000/a/b:2"},
			map[string]string{"outcome": "success", "raw": "pushed 10.0.0.5:5000/a/b:2"},
			pushed("10.0.0.5:5000/a/b:2"),
		},
		{
			"tag without a registry", "push", map[string]any{"image": "local:1", "pull": false, "tag": "b:2"},
			map[string]string{"outcome": "success", "raw": "pushed registry.example.com/b:2"},
			pushed("registry.example.com/b:2"),
		},
		{
			"tag with a path", "push", map[string]any{"image": "local:1", "pull": false, "tag": "team/b"},
			map[string]string{"outcome": "success", "raw": "pushed registry.example.com/team/b:latest"},
			pushed("registry.example.com/team/b:latest"),
		},
		{
			"images", "images", map[string]any{"options": `--filter "label=a b" -q`},
			map[string]string{"outcome": "success", "output": `docker ["images" "--filter" "label=a b" "-q"]`},
			nil,
		},
		{
			"rmi", "rmi", map[string]any{"options": "'x:1'"},
			map[string]string{"outcome": "success", "output": `docker ["rmi" "x:1"]`},
			nil,
		},
		{"start", "start", nil, map[string]string{"outcome": "success"}, []string{"resume"}},
		{"stop", "stop", map[string]any{"name": "registry"}, map[string]string{"outcome": "success"}, []string{"pause false"}},
		{"stop and remove", "stop", map[string]any{"remove": true}, map[string]string{"outcome": "success"}, []string{"pause true"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine()
			action := run(t, m, test.action, test.params)
			if action.failure != "" {
				t.Fatalf("action failed: %s", action.failure)
			}
			if diff := cmp.Diff(test.want, action.results); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.done, m.done); diff != "" {
				t.Errorf("done (-want +got):\n%s", diff)
			}
		})
	}
}

func TestActionsFail(t *testing.T) {
	without := newMachine()
	without.access.Engine = false
	down := newMachine()
	down.notReady = errors.New("registry is not ready: registry container is stopped.")
	for _, test := range []struct {
		name    string
		machine *machine
		action  string
		params  map[string]any
		want    string
	}{
		{"no image", nil, "push", nil, `parameter "image": must be given, such as image=ubuntu:24.04`},
		{"wrong type", nil, "push", map[string]any{"image": int64(3)}, `parameter "image": must be a string, such as image=value`},
		{"wrong claim", nil, "push", map[string]any{"image": "a", "pull": "x"}, `parameter "pull": must be true or false, such as pull=false`},
		{"not there", nil, "push", map[string]any{"image": "gone:1", "pull": false}, "cannot tag gone:1: no such image"},
		{"not upstream", nil, "push", map[string]any{"image": "nosuch:1"}, "cannot pull nosuch:1: not found"},
		{"bad name", nil, "push", map[string]any{"image": "UPPER:1"}, `parameter "image": invalid reference format: repository name (library/UPPER) must be lowercase`},
		{
			"digest", nil, "push", map[string]any{"image": "a/app@sha256:" + strings.Repeat("0", 64)},
			`parameter "tag": must be given for an image named by digest, such as tag=registry.example.com/app:1.0`,
		},
		{
			"another registry", nil, "push", map[string]any{"image": "local:1", "tag": "quay.io/a:1"},
			`parameter "tag": "quay.io/a:1" is not in this registry; begin it with registry.example.com/`,
		},
		{"not ready", down, "push", map[string]any{"image": "a"}, "registry is not ready: registry container is stopped."},
		{
			"no engine", without, "push", map[string]any{"image": "a", "pull": false},
			`parameter "pull": there is no Docker Engine that could have the image; leave pull out, or give image=/path/of/an/image.tar`,
		},
		{"no file", nil, "push", map[string]any{"image": "/nosuch.tar", "tag": "a:1"}, "cannot open image: stat /nosuch.tar: no such file or directory"},
		{"unknown option", nil, "images", map[string]any{"options": "--nosuch"}, "unknown flag: --nosuch"},
		{
			"open quote", nil, "rmi", map[string]any{"options": "'a"},
			`parameter "options": cannot split "'a" into words: EOF found when expecting closing quote; close every quote`,
		},
		{
			"no docker", nil, "images", map[string]any{"options": "absent"},
			"cannot find the docker command on the unit; install the package that has it: juju config docker-registry extra_packages=docker-cli",
		},
		{"another name", nil, "stop", map[string]any{"name": "nosuch"}, `parameter "name": "nosuch" is not this unit's registry; leave it out or type name=registry`},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := test.machine
			if m == nil {
				m = newMachine()
			}
			action := run(t, m, test.action, test.params)
			if action.failure != test.want {
				t.Errorf("got failure\n%q, want\n%q", action.failure, test.want)
			}
			if len(m.done) > 0 || action.results != nil {
				t.Errorf("a failed action did %v and answered %v", m.done, action.results)
			}
		})
	}
}

func TestPushShowsProgress(t *testing.T) {
	action := run(t, newMachine(), "push", map[string]any{"image": "ubuntu:24.04"})
	want := []string{"pulling ubuntu:24.04", "50%", "pushing registry.example.com/ubuntu:24.04"}
	if diff := cmp.Diff(want, action.log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestRunRefusesAnUnknownAction(t *testing.T) {
	err := Run(t.Context(), &asked{name: "nosuch"}, Tools{})
	if err == nil || err.Error() != `cannot run action "nosuch": the charm has no such action` {
		t.Errorf("got error %v", err)
	}
}
