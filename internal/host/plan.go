package host

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"docker-registry-operator/internal/desired"
)

// plan is what has to be done to go from one manifest to another.
type plan struct {
	// during knows each file as it is and as it will be; after only as it will be.
	during, after  manifest
	steps          []step
	mkdirs, rmdirs []string // in the order of doing
	// leftovers are files for which a crash left something staged.
	leftovers []string
}

// step writes or removes one file.
type step struct {
	path    string
	write   bool
	content []byte
	mode    os.FileMode
	user    desired.Identity
	there   found // what was there before

	// replaced is the place of somebody else's file: where it goes with displace,
	// whence it comes with restore.
	replaced          string
	displace, restore bool
}

// plan compares what is wanted with the record and with what is there.
func (f *Files) plan(before manifest, files []desired.File) (plan, error) {
	p := plan{during: before.clone(), after: manifest{Files: map[string]record{}, Dirs: slices.Clone(before.Dirs)}}
	for _, file := range files {
		if err := f.planWrite(&p, before, file); err != nil {
			return plan{}, err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(before.Files)) {
		if _, err := os.Lstat(staged(path)); err == nil {
			p.leftovers = append(p.leftovers, path)
		}
		if _, wanted := p.after.Files[path]; wanted {
			continue
		}
		if err := planRemove(&p, path, before.Files[path]); err != nil {
			return plan{}, err
		}
	}
	p.planDirs()
	return p, nil
}

func (f *Files) planWrite(p *plan, before manifest, file desired.File) error {
	if !filepath.IsAbs(file.Path) || filepath.Clean(file.Path) != file.Path {
		return &PathError{Op: "write", Path: file.Path, Err: errors.New("not an absolute, clean path")}
	}
	if _, twice := p.after.Files[file.Path]; twice {
		return &PathError{Op: "write", Path: file.Path, Err: errors.New("wanted twice")}
	}
	s := step{path: file.Path, write: true, content: file.Content, mode: os.FileMode(file.Mode).Perm(), user: owner()}
	if file.Registry {
		s.user = f.registry
	}
	there, err := look(file.Path)
	if err != nil {
		return failed("write", file.Path, err)
	}
	s.there = there
	r := before.Files[file.Path]
	digest := sum(file.Content)
	if same(there, s) {
		p.after.Files[file.Path] = record{Digests: []string{digest}, Replaced: r.Replaced}
		return nil
	}
	if err := s.planDisplace(before); err != nil {
		return err
	}
	if s.replaced != "" {
		r.Replaced = s.replaced
	}
	p.after.Files[file.Path] = record{Digests: []string{digest}, Replaced: r.Replaced}
	if !slices.Contains(r.Digests, digest) {
		r.Digests = append(slices.Clone(r.Digests), digest)
	}
	p.during.Files[file.Path] = r
	p.steps = append(p.steps, s)
	return p.missingParents(file.Path)
}

// planDisplace decides whether what is there is somebody else's file that has to be
// kept. One with the wanted content is not: it only gets the right mode and owner.
func (s *step) planDisplace(before manifest) error {
	r, known := before.Files[s.path]
	switch {
	case !s.there.exists, r.wrote(s.there), s.there.regular && sum(s.there.content) == sum(s.content):
		return nil
	case known && r.Replaced == "":
		// Somebody changed a file of the charm: the charm's word is the last.
		return nil
	case known:
		if _, err := os.Lstat(r.Replaced); err == nil {
			return nil
		}
	}
	s.displace = true
	for i := range 100 {
		s.replaced = s.path + ".orig"
		if i > 0 {
			s.replaced = fmt.Sprintf("%s.orig.%d", s.path, i)
		}
		if _, err := os.Lstat(s.replaced); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return &PathError{Op: "keep a copy of", Path: s.path, Err: fmt.Errorf("%q and 99 more names are taken", s.path+".orig")}
}

// planRemove decides what becomes of a file that is no longer wanted.
func planRemove(p *plan, path string, r record) error {
	there, err := look(path)
	if errors.Is(err, errIsDir) {
		return nil
	}
	if err != nil {
		return failed("remove", path, err)
	}
	s := step{path: path, there: there, replaced: r.Replaced}
	ours := !there.exists || r.wrote(there)
	kept, err := os.Lstat(r.Replaced)
	switch {
	case r.Replaced != "" && err == nil && ours:
		s.restore = true
	case r.Replaced != "" && err == nil && sameFile(path, kept):
		// A crash came between keeping somebody's file and replacing it.
		s = step{path: r.Replaced}
		if s.there, err = look(r.Replaced); err != nil {
			return failed("remove", r.Replaced, err)
		}
	case !there.exists || !ours:
		return nil
	}
	p.steps = append(p.steps, s)
	return nil
}

func sameFile(path string, info fs.FileInfo) bool {
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(there, info)
}

// missingParents plans the directories that path needs.
func (p *plan) missingParents(path string) error {
	var missing []string
	for dir := filepath.Dir(path); !slices.Contains(p.mkdirs, dir); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return &PathError{Op: "write", Path: path, Err: fmt.Errorf("%q is not a directory", dir)}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return failed("write", path, err)
		}
		missing = append(missing, dir)
	}
	slices.Reverse(missing)
	p.mkdirs = append(p.mkdirs, missing...)
	return nil
}

// planDirs records directories that will be made and drops those that the charm made
// and that hold no file of it any more.
func (p *plan) planDirs() {
	all := slices.Concat(p.during.Dirs, p.mkdirs)
	slices.Sort(all)
	p.during.Dirs = slices.Compact(all)
	p.after.Dirs = nil
	for _, dir := range p.during.Dirs {
		if p.after.within(dir) {
			p.after.Dirs = append(p.after.Dirs, dir)
			continue
		}
		p.rmdirs = append(p.rmdirs, dir)
	}
	// A child sorts after its parent and has to go first.
	slices.Reverse(p.rmdirs)
}
