package juju

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// world is a unit's controller as the fake hook tools serve it. They are this test
// binary under the tools' names, so each call is a process of its own.
type world struct {
	Options map[string]any
	Leader  bool
	Peer    string // ID of the peer relation
	Databag map[string]string
	// Relations are IDs by endpoint, Applications and Units who is there by ID, and Bags
	// what they tell, by ID and name.
	Relations    map[string][]string
	Applications map[string]string
	Units        map[string][]string
	Bags         map[string]map[string]string
	Public       string
	// Secrets are contents by URI.
	Secrets  map[string]map[string]string
	Juju4    bool // no leader settings
	Settings map[string]string
	State    map[string]string
	Ports    []string
	Status   []string
	Version  string
	Network  map[string]any
	Params   map[string]any
	Results  []string
	Progress []string
	Failure  string
	Log      []string
	// Answers replaces what a tool prints; Errors makes it fail with that text.
	Answers, Errors map[string]string
	// Calls is the name and arguments of every call.
	Calls []string
}

const worldFile = "FAKE_JUJU_WORLD"

var tools = []string{
	"action-fail", "action-get", "action-log", "action-set", "application-version-set",
	"close-port", "config-get", "is-leader", "juju-log", "leader-get", "network-get",
	"open-port", "opened-ports", "relation-get", "relation-ids", "relation-list",
	"relation-set", "secret-get", "state-get", "state-set", "status-get", "status-set", "storage-get",
	"storage-list", "unit-get",
}

func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); slices.Contains(tools, name) {
		os.Exit(serve(name))
	}
	os.Exit(m.Run())
}

// begin puts the fake hook tools first on PATH and hands them a world.
func begin(t *testing.T, start world) {
	t.Helper()
	dir := t.TempDir()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tools {
		if start.Juju4 && (strings.HasPrefix(name, "leader-") || name == "unit-get") {
			continue
		}
		if err := os.Symlink(binary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv(worldFile, filepath.Join(dir, "world.json"))
	t.Setenv("JUJU_UNIT_NAME", "docker-registry/0")
	if err := save(start); err != nil {
		t.Fatal(err)
	}
}

// now is the world after what was done to it.
func now(t *testing.T) world {
	t.Helper()
	w, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func load() (world, error) {
	var w world
	data, err := os.ReadFile(os.Getenv(worldFile))
	if err != nil {
		return w, err
	}
	return w, json.Unmarshal(data, &w)
}

func save(w world) error {
	data, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return os.WriteFile(os.Getenv(worldFile), data, 0o600)
}

// serve is a hook tool's main.
func serve(name string) int {
	w, err := load()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	w.Calls = append(w.Calls, strings.Join(append([]string{name}, os.Args[1:]...), " "))
	answer, err := w.call(name, os.Args[1:])
	if text, failing := w.Errors[name]; failing {
		err = errors.New(text)
	}
	if saving := save(w); err == nil {
		err = saving
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "ERROR %v\n", err)
		return 1
	}
	if text, given := w.Answers[name]; given {
		fmt.Print(text)
	} else if answer != nil {
		if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
			return 3
		}
	}
	return 0
}

// none is printed as null.
type none struct{}

func (none) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func entry(bag map[string]string, key string) any {
	if value, found := bag[key]; found {
		return value
	}
	return none{}
}

// call does what the tool of that name does. A reading tool refuses to answer in
// anything but JSON, a writing one takes settings from standard input only.
func (w *world) call(name string, args []string) (any, error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	format := flags.String("format", "", "")
	relation := flags.String("r", "", "")
	storage := flags.String("s", "", "")
	level := flags.String("l", "INFO", "")
	file := flags.String("file", "", "")
	app := flags.Bool("app", false, "")
	data := flags.Bool("include-data", false, "")
	refresh := flags.Bool("refresh", false, "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	args = flags.Args()
	reads := strings.HasSuffix(name, "-get") || strings.HasPrefix(name, "is-") ||
		name == "relation-ids" || name == "relation-list" || name == "opened-ports" || name == "storage-list"
	if reads && *format != "json" {
		return nil, errors.New("the test wants JSON")
	}
	switch name {
	case "config-get":
		return w.Options, nil
	case "is-leader":
		return w.Leader, nil
	case "leader-get":
		return entry(w.Settings, args[0]), nil
	case "state-get":
		return entry(w.State, args[0]), nil
	case "relation-ids":
		if args[0] == "peer" && w.Peer != "" {
			return []string{w.Peer}, nil
		}
		return append([]string{}, w.Relations[args[0]]...), nil
	case "relation-list":
		if *app {
			return w.Applications[*relation], nil
		}
		return append([]string{}, w.Units[*relation]...), nil
	case "storage-list":
		return []string{}, nil
	case "storage-get":
		if *storage == "" || !slices.Equal(args, []string{"location"}) {
			return nil, fmt.Errorf("the test knows no %q of storage %q", args, *storage)
		}
	case "unit-get":
		return w.Public, nil
	case "secret-get":
		content, granted := w.Secrets[args[0]]
		if !granted || !*refresh {
			return nil, errors.New("permission denied")
		}
		return content, nil
	case "relation-get":
		if bag, found := w.Bags[*relation+" "+args[1]]; found && args[0] == "-" {
			return bag, nil
		}
		if *relation != w.Peer || !*app || args[1] != "docker-registry" {
			return nil, errors.New("permission denied")
		}
		return entry(w.Databag, args[0]), nil
	case "relation-set":
		if whose := *relation + " docker-registry/0"; w.Bags[whose] != nil && !*app {
			bag := map[string]string{}
			w.Bags[whose] = bag
			return nil, fill(&bag, *file, args)
		}
		if whose := *relation + " docker-registry"; w.Bags[whose] != nil && *app && w.Leader {
			bag := map[string]string{}
			w.Bags[whose] = bag
			return nil, fill(&bag, *file, args)
		}
		if *relation != w.Peer || !*app || !w.Leader {
			return nil, errors.New("permission denied")
		}
		return nil, fill(&w.Databag, *file, args)
	case "state-set":
		return nil, fill(&w.State, *file, args)
	case "network-get":
		return w.Network[args[0]], nil
	case "status-get":
		status := map[string]any{"status": w.Status[0]}
		if *data {
			status["message"], status["status-data"] = w.Status[1], map[string]any{}
		}
		return status, nil
	case "juju-log":
		w.Log = append(w.Log, *level+" "+strings.Join(args, " "))
		return nil, nil
	}
	return w.note(name, args)
}

func (w *world) note(name string, args []string) (any, error) {
	switch name {
	case "status-set":
		w.Status = args
	case "application-version-set":
		w.Version = args[0]
	case "opened-ports":
		return w.Ports, nil
	case "open-port":
		w.Ports = append(w.Ports, args[0])
	case "close-port":
		w.Ports = slices.DeleteFunc(w.Ports, func(port string) bool { return port == args[0] })
	case "action-get":
		return w.Params, nil
	case "action-set":
		w.Results = append(w.Results, args...)
	case "action-log":
		w.Progress = append(w.Progress, args...)
	case "action-fail":
		w.Failure = args[0]
	}
	return nil, nil
}

func fill(bag *map[string]string, file string, args []string) error {
	if file != "-" || len(args) > 0 {
		return errors.New("the test wants settings on standard input")
	}
	content, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if *bag == nil {
		*bag = map[string]string{}
	}
	return yaml.Unmarshal(content, bag)
}
