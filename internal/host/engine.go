package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// Engine is the Docker Engine of the machine as software: its packages, its options
// and what its clients may do. An engine that answers is never restarted.
type Engine struct {
	layout desired.Layout
	daemon *Daemon
	run    Runner
	log    *slog.Logger

	record string
	// config is the file that dockerd reads; "" if this machine is not the charm's to
	// change.
	config string
	// service, sources and repository are the charm's files for systemd, for the
	// operator's APT sources and for that of the engine.
	service, sources, repository *Files

	systemd bool
	// program is where dockerd is expected, to know whether it has to be installed.
	program string
	wait    waiting
}

// NewEngine is the engine behind daemon. Below a root prefix, and without being root,
// nothing on the machine is changed.
func NewEngine(layout desired.Layout, daemon *Daemon, run Runner, log *slog.Logger) *Engine {
	_, err := os.Stat("/run/systemd/system")
	files := func(name string) *Files {
		return &Files{manifest: filepath.Join(layout.State(), name), registry: owner(), disk: osDisk{}}
	}
	e := &Engine{
		layout:  layout,
		daemon:  daemon,
		run:     run,
		log:     log,
		record:  filepath.Join(layout.State(), "engine.json"),
		service: files("engine-files.json"),
		sources: files("apt-files.json"),

		repository: files("engine-apt-files.json"),
		systemd:    err == nil,
		program:    "dockerd",
		wait:       realTime,
	}
	if layout.Root == "" && os.Geteuid() == 0 {
		e.config = "/etc/docker/daemon.json"
	}
	return e
}

// engineRecord is what the charm did to the machine's engine, so that it can be
// compared and undone.
type engineRecord struct {
	// Packages is a digest of the sources, keys and packages that are in place.
	Packages string `json:"packages,omitempty"`
	// Archives are what add-apt-repository was given.
	Archives []string `json:"archives,omitempty"`
	// Installed is the engine's package, if the charm brought it; Held, if the charm
	// holds it at its version.
	Installed string `json:"installed,omitempty"`
	Held      string `json:"held,omitempty"`
	// Options are the keys of daemon.json that the charm set.
	Options map[string]option `json:"options,omitempty"`
	// Insecure are the entries that the charm added to insecure-registries, by who
	// asked for them.
	Insecure map[string][]string `json:"insecure,omitempty"`
	// Outdated is the process that was started before its options changed.
	Outdated string `json:"outdated,omitempty"`
}

// option is one key of daemon.json: what the charm made it, and what it was.
type option struct {
	Ours   json.RawMessage `json:"ours"`
	Before json.RawMessage `json:"before,omitempty"`
}

func (e *Engine) load() (engineRecord, error) {
	record := engineRecord{Options: map[string]option{}, Insecure: map[string][]string{}}
	err := readJSON(e.record, &record)
	return record, err
}

func (e *Engine) save(record engineRecord) error {
	return writeJSON(osDisk{}, e.record, record)
}

// Ensure makes an engine answer, with the packages and options that the operator
// asked for, and returns what he should know. If nothing is to be done it writes
// nothing and runs no program.
func (e *Engine) Ensure(ctx context.Context, host config.Host, proxy desired.Proxy) (notes []string, err error) {
	if e.config == "" {
		if e.daemon.Answers(ctx) {
			return nil, nil
		}
		return nil, fmt.Errorf("%w at %q", desired.ErrNoEngine, e.daemon.address)
	}
	if err := e.Packages(ctx, host, proxy); err != nil {
		return nil, err
	}
	if e.daemon.Answers(ctx) {
		notes, err = e.configure(ctx, host.Engine)
	} else {
		notes, err = e.bring(ctx, host, proxy)
	}
	if err != nil {
		return nil, err
	}
	return notes, e.hold(ctx, host)
}

// bring installs the engine if there is none, and starts it.
func (e *Engine) bring(ctx context.Context, host config.Host, proxy desired.Proxy) (notes []string, err error) {
	if !e.daemon.local() {
		return nil, fmt.Errorf("%w at %q", desired.ErrNoEngine, e.daemon.address)
	}
	record, err := e.load()
	if err != nil {
		return nil, err
	}
	missing := !e.run.Has(e.program)
	if missing {
		// Recorded first: with what is configured for it the engine is the charm's.
		record.Installed = enginePackage(host.Engine)
		if err := e.save(record); err != nil {
			return nil, err
		}
	}
	// Before the package, so that its first start has the options already.
	if notes, err = e.configure(ctx, host.Engine); err != nil {
		return nil, err
	}
	if missing {
		if err := e.install(ctx, host.Engine, proxy); err != nil {
			return nil, err
		}
	}
	if missing && e.systemd {
		// Now that its unit is there, its options can be complete. Nobody uses it yet.
		if _, err = e.configureService(ctx, host.Engine); err != nil {
			return nil, err
		}
		if _, err = e.run.Run(ctx, Command{Args: []string{"systemctl", "restart", "docker.service"}}); err != nil {
			return nil, fmt.Errorf("cannot start the Docker Engine: %w", err)
		}
	}
	if err := e.start(ctx, host.Engine); err != nil {
		// Its configuration and its service are the business of whoever broke them.
		return nil, fmt.Errorf("%w: %w", desired.ErrNoEngine, err)
	}
	return notes, nil
}

// enginePackage is the name of the package that holds the engine.
func enginePackage(engine config.Engine) string {
	if engine.Source == "custom" {
		return engine.Custom.Package
	}
	return "docker.io"
}

// hold keeps the engine's package at its version, or no longer.
func (e *Engine) hold(ctx context.Context, host config.Host) error {
	record, err := e.load()
	if err != nil {
		return err
	}
	want := ""
	if host.Hold {
		want = enginePackage(host.Engine)
	}
	if record.Held == want {
		return nil
	}
	apt := e.apt(desired.Proxy{})
	if record.Held != "" {
		if err := apt.mark(ctx, "unhold", record.Held); err != nil {
			return err
		}
		record.Held = ""
	}
	if want != "" && apt.installed(ctx, want) {
		if err := apt.mark(ctx, "hold", want); err != nil {
			return err
		}
		record.Held = want
	}
	return e.save(record)
}

// Remove undoes what the charm did to the engine and to the machine's packages: its
// options, holds, sources and keys. Packages and images stay, and so does whatever
// runs. It does nothing if there is nothing to undo.
func (e *Engine) Remove(ctx context.Context) error {
	if e.config == "" {
		return nil
	}
	record, err := e.load()
	if err != nil {
		return err
	}
	var errs []error
	if record.Held != "" {
		errs = append(errs, e.apt(desired.Proxy{}).mark(ctx, "unhold", record.Held))
	}
	for _, archive := range record.Archives {
		_, err := e.run.Run(ctx, Command{Args: []string{"add-apt-repository", "--yes", "--remove", archive}})
		errs = append(errs, err)
	}
	errs = append(errs, e.unset(ctx, record))
	for _, files := range []*Files{e.sources, e.repository} {
		_, err := files.Sync(nil)
		errs = append(errs, err)
	}
	_, err = e.configureService(ctx, config.Engine{})
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return failed("remove", e.record, osDisk{}.remove(e.record))
}

// digest is a fingerprint of a value, for records that must not hold it.
func digest(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:]), nil
}
