package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"docker-registry-operator/internal/desired"
)

// maxForeign bounds a file that an option names: a bundle of all public authorities
// has 220 KiB.
const maxForeign = 4 << 20

// Files are the files that the charm owns on the host. It never changes a file that
// it neither wrote nor is asked for.
type Files struct {
	manifest string
	registry desired.Identity
	disk     disk
}

// NewFiles knows the charm's files by their record in the layout's state directory;
// registry owns those that are marked as the registry's.
func NewFiles(layout desired.Layout, registry desired.Identity) *Files {
	return &Files{manifest: filepath.Join(layout.State(), "files.json"), registry: registry, disk: osDisk{}}
}

// Sync makes the charm's files those that are given, and no other. It writes only
// what differs in content, mode or owner, all or nothing. A file of somebody else
// at one of the paths is kept beside it as <path>.orig, and put back once the path
// is no longer wanted. A file of the charm that is no longer wanted is removed,
// unless somebody changed it since: then it is his. Errors are of type [PathError].
func (f *Files) Sync(files []desired.File) (*Change, error) {
	before, err := f.load()
	if err != nil {
		return nil, err
	}
	p, err := f.plan(before, files)
	if err != nil {
		return nil, err
	}
	if len(p.steps)+len(p.leftovers) == 0 && p.after.equal(before) {
		return &Change{}, nil
	}
	return f.apply(before, p)
}

func (f *Files) apply(before manifest, p plan) (*Change, error) {
	if !p.during.equal(before) {
		if err := f.save(p.during); err != nil {
			return nil, err
		}
	}
	change := &Change{files: f, before: before, made: p.mkdirs}
	for _, path := range p.leftovers {
		if err := f.disk.unstage(path); err != nil {
			return nil, failed("write", path, err)
		}
	}
	if err := f.prepare(p); err != nil {
		return nil, errors.Join(err, change.Undo())
	}
	for _, s := range p.steps {
		change.done = append(change.done, s)
		if err := f.step(s); err != nil {
			f.unstage(p)
			return nil, errors.Join(err, change.Undo())
		}
		if s.write {
			change.Written = append(change.Written, s.path)
		} else {
			change.Removed = append(change.Removed, s.path)
		}
	}
	change.gone = p.rmdirs
	for _, dir := range p.rmdirs {
		// A directory that others use by now is theirs.
		_ = f.disk.remove(dir)
	}
	return change, f.save(p.after)
}

// prepare makes directories and stages all contents, so that a full disk is noticed
// before the first file changes.
func (f *Files) prepare(p plan) error {
	for _, dir := range p.mkdirs {
		if err := f.disk.mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return failed("make directory", dir, err)
		}
	}
	for _, s := range p.steps {
		if !s.write {
			continue
		}
		if err := f.disk.stage(s.path, s.content, s.mode, s.user); err != nil {
			f.unstage(p)
			return failed("write", s.path, err)
		}
	}
	return nil
}

func (f *Files) unstage(p plan) {
	for _, s := range p.steps {
		// The cause is reported already, and a leftover is overwritten next time.
		_ = f.disk.unstage(s.path)
	}
}

// step does what was planned for one path.
func (f *Files) step(s step) error {
	dir := filepath.Dir(s.path)
	switch {
	case s.write && s.displace:
		if err := f.disk.link(s.path, s.replaced); err != nil {
			return failed("keep a copy of", s.path, err)
		}
		fallthrough
	case s.write:
		if err := f.disk.commit(s.path); err != nil {
			return failed("write", s.path, err)
		}
		return failed("write", s.path, f.disk.settle(dir))
	case s.restore:
		if err := f.disk.rename(s.replaced, s.path); err != nil {
			return failed("put back", s.path, err)
		}
		return failed("put back", s.path, f.disk.settle(dir))
	}
	if err := f.disk.remove(s.path); err != nil {
		return failed("remove", s.path, err)
	}
	return failed("remove", s.path, f.disk.settle(dir))
}

// Foreign is what others put at paths, by path: a path without a file, or with one
// that the charm wrote, is absent. Where the charm's own file stands for one that it
// replaced, that one counts. Symbolic links are followed. A path that cannot be read
// is a [PathError].
func (f *Files) Foreign(paths []string) (map[string][]byte, error) {
	m, err := f.load()
	if err != nil {
		return nil, err
	}
	contents := map[string][]byte{}
	for _, path := range paths {
		content, err := readForeign(path)
		if err == nil && slices.Contains(m.Files[path].Digests, sum(content)) {
			if m.Files[path].Replaced == "" {
				continue
			}
			content, err = readForeign(m.Files[path].Replaced)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, failed("read", path, err)
		}
		contents[path] = content
	}
	return contents, nil
}

// readForeign reads a file that may be anything, such as a pipe that never ends. A link
// that leads nowhere is not as good as no file: somebody meant one.
func readForeign(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if target, linkErr := os.Readlink(path); linkErr == nil {
			return nil, fmt.Errorf("it is a link to %q, where no file is", target)
		}
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	if info.Size() > maxForeign {
		return nil, fmt.Errorf("larger than %d MiB", maxForeign>>20)
	}
	return os.ReadFile(path)
}

// same says that path holds what is wanted.
func same(there found, want step) bool {
	return there.equal(found{exists: true, regular: true, content: want.content, mode: want.mode, user: want.user})
}
