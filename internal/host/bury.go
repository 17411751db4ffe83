package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"docker-registry-operator/internal/desired"
)

// Bury removes what else the charm that this one replaces left on the machine, now
// that nobody needs it any more. What tells that there was such a charm goes last.
func (m *Machine) Bury(ctx context.Context) error {
	old, err := m.predecessor()
	if err != nil || old == nil {
		return err
	}
	if err := old.unlinkClient(); err != nil {
		return err
	}
	if err := m.engine.bury(ctx, old); err != nil {
		return err
	}
	if err := old.distrust(ctx, m.engine.run); err != nil {
		return err
	}
	return old.clear()
}

// unlinkClient removes the links by which the machine's own client showed the
// registry's certificate as its own.
func (p *predecessor) unlinkClient() error {
	certs := p.layout.On("/etc/docker/certs.d")
	for _, part := range []string{"cert", "key"} {
		links, err := filepath.Glob(certs + "/*/client." + part)
		if err != nil {
			return fmt.Errorf("cannot find client certificates: %w", err)
		}
		for _, link := range links {
			if target, err := os.Readlink(link); err != nil || target != p.tlsPath(part) {
				continue
			}
			if err := remove(link); err != nil {
				return err
			}
			// Whatever else is there keeps the directories.
			_, _ = os.Remove(filepath.Dir(link)), os.Remove(certs)
		}
	}
	return nil
}

// distrust takes the authority of a relation's certificate out of the machine's store.
func (p *predecessor) distrust(ctx context.Context, run Runner) error {
	// Under another name it is no authority any more, and still tells a later hook that
	// the store may have it, if this one is interrupted.
	aside := p.trusted() + ".gone"
	if err := os.Rename(p.trusted(), aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove", p.trusted(), err)
	}
	if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if run.Has("update-ca-certificates") {
		if _, err := run.Run(ctx, Command{Args: []string{"update-ca-certificates", "--fresh"}}); err != nil {
			return fmt.Errorf("cannot remove the former authority from the machine's store: %w", err)
		}
	}
	return remove(aside)
}

// bury removes what a predecessor left of the engine's options, which are the charm's
// own by now, and the holds that the charm does not know.
func (e *Engine) bury(ctx context.Context, old *predecessor) error {
	if e.config == "" {
		return nil
	}
	record, err := e.load()
	if err != nil {
		return err
	}
	held, err := e.holds(ctx, old.packages()...)
	if err != nil {
		return err
	}
	for _, name := range held {
		if name == record.Held {
			continue
		}
		if err := e.apt(desired.Proxy{}).mark(ctx, "unhold", name); err != nil {
			return err
		}
	}
	if path := e.layout.On(engineDefaults); generated(contentOf(path)) {
		if err := remove(path); err != nil {
			return err
		}
	}
	return e.forgetProxies(ctx, old)
}

// forgetProxies takes out of the engine's service what the charm's own drop-in says:
// otherwise a proxy would stay in force after its option was reset.
func (e *Engine) forgetProxies(ctx context.Context, old *predecessor) error {
	path := e.layout.On("/lib/systemd/system/docker.service")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed("read", path, err)
	}
	var kept []string
	for line := range strings.Lines(string(content)) {
		if !old.wroteProxy(strings.TrimSpace(line)) {
			kept = append(kept, line)
		}
	}
	without := strings.Join(kept, "")
	if without == string(content) {
		return nil
	}
	if err := replace(osDisk{}, path, []byte(without), 0o644); err != nil {
		return err
	}
	_, err = e.run.Run(ctx, Command{Args: []string{"systemctl", "daemon-reload"}})
	return err
}

// wroteProxy says that a line of the engine's service sets a proxy from one of its
// options, or the word that stood for none.
func (p *predecessor) wroteProxy(line string) bool {
	for _, option := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		value, is := strings.CutPrefix(line, `Environment="`+strings.ToUpper(option)+"=")
		value = strings.TrimSuffix(value, `"`)
		if is && (value == p.text(option, "") || value == "None") {
			return true
		}
	}
	return false
}

// clear removes what it left in the unit's own directory and in those of the machine
// that charms of its kind share.
func (p *predecessor) clear() error {
	venv := filepath.Join(filepath.Dir(p.charm), ".venv")
	if _, err := os.Lstat(filepath.Join(venv, "bin", "python")); err == nil {
		if err := os.RemoveAll(venv); err != nil {
			return failed("remove", venv, err)
		}
	}
	if err := p.clearCaches(); err != nil {
		return err
	}
	if err := p.clearWrappers(); err != nil {
		return err
	}
	for _, name := range []string{lastOptions, marker + "-journal", marker} {
		if err := remove(filepath.Join(p.charm, name)); err != nil {
			return err
		}
	}
	return nil
}

// clearCaches removes what Python and the layers wrote among the charm's files, and
// the directories that hold nothing without.
func (p *predecessor) clearCaches() error {
	for _, name := range []string{"wheelhouse/.bootstrapped", "wheelhouse/.upgraded"} {
		if err := remove(filepath.Join(p.charm, name)); err != nil {
			return err
		}
	}
	var empty []string
	err := filepath.WalkDir(p.charm, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || path == p.charm {
			return err
		}
		if entry.Name() != "__pycache__" {
			empty = append(empty, path)
			return nil
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		return fs.SkipDir
	})
	for _, dir := range slices.Backward(empty) {
		// Only one that is empty goes.
		_ = os.Remove(dir)
	}
	return failed("clean up", p.charm, err)
}

// clearWrappers removes the commands that its layers put on the machine, unless
// another charm there is of the same kind.
func (p *predecessor) clearWrappers() error {
	others, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(p.charm)), "unit-*", "charm", "wheelhouse"))
	if err != nil {
		return fmt.Errorf("cannot find other charms: %w", err)
	}
	if slices.ContainsFunc(others, func(path string) bool { return filepath.Dir(path) != p.charm }) {
		return nil
	}
	wrapper := "/usr/local/sbin/charm-env"
	for _, name := range []string{"charms.reactive", "charms.reactive.sh", "chlp", "layer_option"} {
		path := p.layout.On(filepath.Join(filepath.Dir(wrapper), name))
		if target, err := os.Readlink(path); err != nil || target != wrapper {
			continue
		}
		if err := remove(path); err != nil {
			return err
		}
	}
	return remove(p.layout.On(wrapper))
}

// remove removes a file; one that is not there is no error.
func remove(path string) error {
	return failed("remove", path, osDisk{}.remove(path))
}
