package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Inherit makes what the charm that this one replaces left on the machine the charm's
// own, to be changed, removed and put back like the rest, and says whether there is
// such a thing. It changes records alone, and those only as long as they lack
// something.
func (m *Machine) Inherit(ctx context.Context) (bool, error) {
	old, err := m.predecessor()
	if err != nil || old == nil {
		return false, err
	}
	files, err := old.files()
	if err != nil {
		return false, err
	}
	if err := m.files.adopt(files, old.directories()); err != nil {
		return false, err
	}
	if slices.ContainsFunc(files, m.checked) {
		if err := m.records.set(monitored, "another charm's"); err != nil {
			return false, err
		}
	}
	return true, m.engine.inherit(ctx, old)
}

// checked says that NRPE may have read a file, so that it needs a restart without it.
func (m *Machine) checked(path string) bool {
	_, err := os.Lstat(path)
	return err == nil && filepath.Dir(path) == m.layout.Checks()
}

// adopt records files and directories that are there as written by the charm.
func (f *Files) adopt(files, dirs []string) error {
	before, err := f.load()
	if err != nil {
		return err
	}
	after := before.clone()
	for _, path := range files {
		there, err := look(path)
		if err != nil && !errors.Is(err, errIsDir) {
			return failed("read", path, err)
		}
		if r := after.Files[path]; there.regular && !r.wrote(there) {
			r.Digests = append(slices.Clone(r.Digests), sum(there.content))
			after.Files[path] = r
		}
	}
	for _, dir := range dirs {
		if info, err := os.Lstat(dir); err == nil && info.IsDir() {
			after.Dirs = append(after.Dirs, dir)
		}
	}
	slices.Sort(after.Dirs)
	after.Dirs = slices.Compact(after.Dirs)
	if after.equal(before) {
		return nil
	}
	return f.save(after)
}

// inherit records what a predecessor did to the engine: its package, the hold on it,
// where it is from, and what is set in daemon.json.
func (e *Engine) inherit(ctx context.Context, old *predecessor) error {
	if e.config == "" || old.options == nil {
		return nil
	}
	record, err := e.load()
	if err != nil {
		return err
	}
	next := record.clone()
	if next.Installed == "" {
		next.Installed = old.runtime()
	}
	if next.Held == "" {
		held, err := e.holds(ctx, old.runtime())
		if err != nil {
			return err
		}
		next.Held = strings.Join(held, "")
	}
	if err := next.inheritOptions(e.config, old); err != nil {
		return err
	}
	if err := e.saveChange(record, next); err != nil || old.runtime() == "docker.io" {
		return err
	}
	return e.repository.adopt([]string{e.layout.On("/etc/apt/sources.list.d/docker.list")}, nil)
}

// holds are those of packages that are held on the machine. dpkg tells at once for what
// apt-mark reads the lists of all packages.
func (e *Engine) holds(ctx context.Context, packages ...string) ([]string, error) {
	if !e.run.Has("dpkg") {
		return nil, nil
	}
	output, err := e.run.Run(ctx, Command{Args: append([]string{"dpkg", "--get-selections"}, packages...)})
	if err != nil {
		return nil, fmt.Errorf("cannot tell which packages are held: %w", err)
	}
	var held []string
	for line := range strings.Lines(output) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[1] == "hold" {
			held = append(held, fields[0])
		}
	}
	return held, nil
}

// inheritOptions records the keys of daemon.json that are as the predecessor's
// daemon-opts asked for, and as its own the registries without TLS that it did not.
func (r *engineRecord) inheritOptions(path string, old *predecessor) error {
	file, err := readDaemonFile(path)
	if err != nil {
		return err
	}
	var asked map[string]json.RawMessage
	// Where they are no JSON it has not written them.
	_ = json.Unmarshal([]byte(old.text("daemon-opts", "")), &asked)
	for key, value := range asked {
		_, known := r.Options[key]
		switch present := file.values[key]; {
		case known || present == nil || !sameJSON(present, value):
		case key == insecureKey:
			r.Insecure["daemon-opts"] = file.list(insecureKey)
		default:
			r.Options[key] = option{Ours: present}
		}
	}
	for _, entry := range file.list(insecureKey) {
		if !slices.Contains(r.Insecure["daemon-opts"], entry) && !slices.Contains(r.Insecure["client"], entry) {
			r.Insecure["client"] = append(r.Insecure["client"], entry)
		}
	}
	return nil
}
