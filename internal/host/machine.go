package host

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// takeOverBudget bounds how long one hook gives images to the registry's user: long
// enough for a million files on a warm disk, short enough for a hook.
const takeOverBudget = 20 * time.Second

// Machine is the host of a unit: all that this package does, under one roof.
type Machine struct {
	layout  desired.Layout
	charm   string
	files   *Files
	user    desired.Identity
	daemon  *Daemon
	engine  *Engine
	records *records
	run     Runner
	log     *slog.Logger
}

// MachineOptions say which machine and what is on it.
type MachineOptions struct {
	Layout desired.Layout
	// User is who runs the registry.
	User desired.Identity
	// Engine is the Docker Engine's address, as in DOCKER_HOST.
	Engine string
	// Charm is the charm's directory under Juju, where the charm that this one replaces
	// may have left something; "" without Juju.
	Charm string
	Log   *slog.Logger
}

// NewMachine is the machine that this process runs on.
func NewMachine(options MachineOptions) *Machine {
	layout, daemon := options.Layout, NewDaemon(options.Engine)
	return &Machine{
		layout:  layout,
		charm:   options.Charm,
		files:   NewFiles(layout, options.User),
		user:    options.User,
		daemon:  daemon,
		engine:  NewEngine(layout, daemon, Exec{}, options.Log),
		records: &records{path: filepath.Join(layout.State(), "records.json")},
		run:     Exec{},
		log:     options.Log,
	}
}

// Sync makes the charm's files those that are given, and no other.
func (m *Machine) Sync(files []desired.File) (desired.Change, error) {
	change, err := m.files.Sync(files)
	if err != nil {
		return desired.Change{}, err
	}
	return desired.Change{Written: change.Written, Removed: change.Removed, Undo: change.Undo}, nil
}

// PrepareData makes the directories that the registry writes to, with images in dir.
func (m *Machine) PrepareData(dir string) error {
	if err := Prepare(m.layout, m.user); err != nil {
		return err
	}
	return m.data(dir).Prepare()
}

// ForeignData says that a directory of images is not yet the registry's own.
func (m *Machine) ForeignData(dir string) (bool, error) { return m.data(dir).Foreign() }

// TakeOver gives files in a directory of images to the registry, for a bounded time.
func (m *Machine) TakeOver(ctx context.Context, dir string) (desired.Progress, error) {
	ctx, cancel := context.WithTimeout(ctx, takeOverBudget)
	defer cancel()
	progress, err := m.data(dir).TakeOver(ctx)
	return desired.Progress(progress), err
}

func (m *Machine) data(dir string) *Data { return NewData(m.layout, dir, m.user) }

// IsDir says that there is a directory.
func (m *Machine) IsDir(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

// EnsureClient lets the host's own Docker reach the registry.
func (m *Machine) EnsureClient(ctx context.Context, client desired.Client) ([]string, error) {
	return m.engine.Client(ctx, client)
}

// ReadFiles are the contents of those of paths that exist and that the charm did not
// write itself. What cannot be read is a [*fs.PathError].
func (m *Machine) ReadFiles(paths []string) (map[string][]byte, error) {
	contents, err := m.files.Foreign(paths)
	if denied := (*PathError)(nil); errors.As(err, &denied) {
		return nil, &fs.PathError{Op: denied.Op, Path: denied.Path, Err: denied.Err}
	}
	return contents, err
}

// Htpasswd is the password file as it is, nil if there is none. Whatever else stands in
// its place is left to [Machine.Sync].
func (m *Machine) Htpasswd() ([]byte, error) {
	path := filepath.Join(m.layout.Config(), "htpasswd")
	there, err := look(path)
	if errors.Is(err, errIsDir) {
		return nil, nil
	}
	return there.content, failed("read", path, err)
}

// Authorities says that the host has a directory of trusted authorities.
func (m *Machine) Authorities() bool {
	info, err := os.Stat("/etc/ssl/certs")
	return err == nil && info.IsDir()
}

// Prepare brings packages and, if docker is asked for, a Docker Engine that answers.
func (m *Machine) Prepare(ctx context.Context, conf config.Host, proxy desired.Proxy, docker bool, progress func(string)) ([]string, error) {
	if !docker {
		return nil, m.engine.Packages(ctx, conf, proxy)
	}
	if !m.daemon.listens(ctx) {
		progress("Bringing up the Docker Engine")
	}
	return m.engine.Ensure(ctx, conf, proxy)
}

// Record is a value that an earlier hook recorded, "" if there is none.
func (m *Machine) Record(name string) (string, error) { return m.records.get(name) }

// SetRecord records a value for later hooks; "" forgets it.
func (m *Machine) SetRecord(name, value string) error { return m.records.set(name, value) }

// Remove takes back what the charm did to the machine, but for images and packages,
// and what one that it replaces left there.
func (m *Machine) Remove(ctx context.Context) error {
	if _, err := m.Inherit(ctx); err != nil {
		return err
	}
	if err := m.Bury(ctx); err != nil {
		return err
	}
	if err := m.engine.Remove(ctx); err != nil {
		return err
	}
	if _, err := m.files.Sync(nil); err != nil {
		return err
	}
	if err := os.RemoveAll(m.layout.State()); err != nil {
		return failed("remove", m.layout.State(), err)
	}
	// Only an empty directory goes: images stay.
	_ = os.Remove(m.layout.Data())
	_ = os.Remove(m.layout.Config())
	return nil
}
