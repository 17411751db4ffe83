package operator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/relation"
)

// unit is a unit that remembers what it was told; every change is in did.
type unit struct {
	options config.Options
	leader  bool
	shared  map[string]string
	ports   []int
	status  desired.Status
	version string
	// relations are by endpoint.
	relations map[string][]relation.Relation
	// secrets are those that are granted, by their URIs.
	secrets map[string]map[string]config.Secret
	// unread is why no secret can be read, nil if those that are granted can.
	unread error
	// read are the secrets that were asked for.
	read []string
	// storage is what the event tells, nil for nothing.
	storage *desired.Storage
	did     []string
}

func (u *unit) Storage(context.Context, string) (desired.Storage, bool, error) {
	if u.storage == nil {
		return desired.Storage{}, false, nil
	}
	return *u.storage, true, nil
}

func (u *unit) Name() string                                    { return "docker-registry/0" }
func (u *unit) Options(context.Context) (config.Options, error) { return u.options, nil }
func (u *unit) Leader(context.Context) (bool, error)            { return u.leader, nil }
func (u *unit) Proxy() Proxy                                    { return Proxy{} }
func (u *unit) OpenedPorts(context.Context) ([]int, error)      { return slices.Clone(u.ports), nil }
func (u *unit) Status(context.Context) (desired.Status, error)  { return u.status, nil }
func (u *unit) Addresses(_ context.Context, endpoint string) ([]string, error) {
	return map[string][]string{"website": {"10.0.0.5"}}[endpoint], nil
}

func (u *unit) PublicAddress(context.Context) (string, error) { return "203.0.113.5", nil }

func (u *unit) Relations(_ context.Context, endpoint string, parts relation.Parts) ([]relation.Relation, error) {
	var found []relation.Relation
	for _, r := range u.relations[endpoint] {
		if !parts.Units && !parts.Event {
			r.Units = nil
		}
		if !parts.OwnApp {
			r.OwnApp = nil
		}
		found = append(found, r)
	}
	return found, nil
}

func (u *unit) Publish(_ context.Context, id string, settings map[string]string) error {
	for _, relations := range u.relations {
		for i := range relations {
			if relations[i].ID == id {
				u.did = append(u.did, "tell "+id)
				relations[i].Own = merge(relations[i].Own, settings)
			}
		}
	}
	return nil
}

func (u *unit) PublishApp(_ context.Context, id string, settings map[string]string) error {
	for _, relations := range u.relations {
		for i := range relations {
			if relations[i].ID == id {
				u.did = append(u.did, "tell for all "+id)
				relations[i].OwnApp = merge(relations[i].OwnApp, settings)
			}
		}
	}
	return nil
}

func (u *unit) Secret(_ context.Context, uri string) (map[string]config.Secret, error) {
	u.read = append(u.read, uri)
	if u.unread != nil {
		return nil, u.unread
	}
	content, granted := u.secrets[uri]
	if !granted {
		return nil, errors.New("permission denied")
	}
	return content, nil
}

func (u *unit) Model() string { return "93e0e3f5-7c2c-4d23-8bd4-2f4d3c8ea2a0" }

func merge(bag, settings relation.Bag) relation.Bag {
	merged := maps.Clone(bag)
	if merged == nil {
		merged = relation.Bag{}
	}
	for key, value := range settings {
		merged[key] = value
		if value == "" {
			delete(merged, key)
		}
	}
	return merged
}

func (u *unit) Shared(_ context.Context, key string) (string, error) { return u.shared[key], nil }

func (u *unit) SetShared(_ context.Context, key, value string) error {
	u.did = append(u.did, "share "+key)
	u.shared[key] = value
	return nil
}

func (u *unit) OpenPort(_ context.Context, port int) error {
	u.did = append(u.did, "open")
	u.ports = append(u.ports, port)
	return nil
}

func (u *unit) ClosePort(_ context.Context, port int) error {
	u.did = append(u.did, "close")
	u.ports = slices.DeleteFunc(u.ports, func(p int) bool { return p == port })
	return nil
}

func (u *unit) SetStatus(_ context.Context, status desired.Status) error {
	u.did = append(u.did, "status "+string(status.Level))
	u.status = status
	return nil
}

func (u *unit) SetVersion(_ context.Context, version string) error {
	u.did = append(u.did, "version")
	u.version = version
	return nil
}

// machine is a host whose files and records live in memory.
type machine struct {
	files   map[string][]byte // what the charm wrote
	others  map[string][]byte // what others wrote
	records map[string]string
	denied  string // a path that cannot be read
	foreign bool
	notes   []string
	removed bool
	// repositories are counted by directory.
	repositories map[string]int
	// dirs are directories of images that are there.
	dirs    map[string]bool
	moves   int
	unmoved error
	// legacy says that another charm left something.
	legacy bool
	did    []string
}

func (m *machine) Inherit(context.Context) (bool, error) { return m.legacy, nil }

func (m *machine) Bury(context.Context) error {
	m.legacy = false
	m.did = append(m.did, "bury")
	return nil
}

func (m *machine) Sync(files []desired.File) (desired.Change, error) {
	before, change := maps.Clone(m.files), desired.Change{}
	m.files = map[string][]byte{}
	for _, file := range files {
		m.files[file.Path] = file.Content
		if string(before[file.Path]) != string(file.Content) {
			change.Written = append(change.Written, file.Path)
			m.did = append(m.did, "write "+file.Path)
		}
	}
	change.Undo = func() error { m.files = before; return nil }
	return change, nil
}

func (m *machine) ReadFiles(paths []string) (map[string][]byte, error) {
	found := map[string][]byte{}
	for _, path := range paths {
		if path == m.denied {
			return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("permission denied")}
		}
		if content, ok := m.others[path]; ok {
			found[path] = content
		}
	}
	return found, nil
}

func (m *machine) Repositories(dir string) desired.Count {
	return desired.Count{Known: m.dirs[dir], Repositories: m.repositories[dir]}
}

func (m *machine) HasRepositories(dir string) bool { return m.repositories[dir] > 0 }

func (m *machine) PrepareData(dir string) error {
	if m.dirs == nil {
		m.dirs = map[string]bool{}
	}
	m.dirs[dir] = true
	return nil
}

func (m *machine) IsDir(dir string) bool { return m.dirs[dir] }

// Move takes two calls before the last.
func (m *machine) Move(_ context.Context, from, to string, last bool) (desired.Progress, error) {
	m.moves++
	m.did = append(m.did, fmt.Sprintf("move %v", last))
	switch {
	case m.unmoved != nil:
		return desired.Progress{}, m.unmoved
	case last:
		m.dirs[to], m.repositories[to] = true, m.repositories[from]
	}
	return desired.Progress{Files: m.moves, Done: m.moves > 1}, nil
}

func (m *machine) ForeignData(string) (bool, error) { return m.foreign, nil }
func (m *machine) Authorities() bool                { return true }
func (m *machine) Hostname() (string, error)        { return "juju-machine", nil }
func (m *machine) Monitoring() (bool, bool)         { return true, true }
func (m *machine) Remove(context.Context) error     { m.removed = true; return nil }

func (m *machine) Htpasswd() ([]byte, error) { return m.files["/etc/docker/registry/htpasswd"], nil }

func (m *machine) TakeOver(context.Context, string) (desired.Progress, error) {
	m.foreign = false
	return desired.Progress{Files: 3, Done: true}, nil
}

func (m *machine) EnsureMonitoring(context.Context, []desired.File) (string, error) { return "", nil }

func (m *machine) EnsureClient(context.Context, desired.Client) ([]string, error) { return nil, nil }

func (m *machine) Prepare(context.Context, config.Host, desired.Proxy, bool, func(string)) ([]string, error) {
	return m.notes, nil
}

func (m *machine) Record(name string) (string, error) { return m.records[name], nil }

func (m *machine) SetRecord(name, value string) error {
	if m.records[name] != value {
		m.did = append(m.did, "record "+name)
		m.records[name] = value
	}
	return nil
}

// engine is a runtime that runs what it is told, or fails.
type engine struct {
	// unpulled is why no image can be pulled.
	unpulled  error
	workloads []desired.Workload
	fail      error
	failing   map[string]string
	removed   []string
	retired   []string
	image     desired.Image
	upstream  desired.Upstream
	// repositories is what the registry counts, with any configuration but that of the
	// last workload nothing.
	repositories int
	// writing is how often a push is under way when it is looked.
	writing int
}

func (e *engine) Repositories(_ context.Context, _, config string) desired.Count {
	if n := len(e.workloads); n == 0 || e.workloads[n-1].Config != config {
		return desired.Count{}
	}
	return desired.Count{Known: true, Repositories: e.repositories}
}

func (e *engine) Ensure(_ context.Context, w desired.Workload) (desired.Outcome, error) {
	if e.fail != nil {
		return desired.Outcome{}, e.fail
	}
	version := "v3.1.2"
	if w.Sockets == "" {
		// There is nobody to ask.
		version = ""
	}
	if n := len(e.workloads); n > 0 && cmp.Equal(e.workloads[n-1], w) {
		e.writing--
		return desired.Outcome{Version: version, Writing: e.writing >= 0, Upstream: e.upstream, Failing: e.failing}, nil
	}
	e.workloads = append(e.workloads, w)
	writing := e.writing > 0
	e.writing--
	return desired.Outcome{Done: "created", Version: version, Writing: writing, Upstream: e.upstream}, nil
}

func (e *engine) Retire(_ context.Context, unit string) error {
	e.retired = append(e.retired, unit)
	return nil
}

func (e *engine) Remove(_ context.Context, unit string) error {
	e.removed = append(e.removed, unit)
	return nil
}

func (e *engine) Image(context.Context, string, func(string)) (desired.Image, error) {
	return e.image, e.unpulled
}
