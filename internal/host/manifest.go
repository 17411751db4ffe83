package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// manifest is the charm's record of what it wrote. It is saved before the files
// change, with what they are and what they will be, and again once they have: a
// crash at any point leaves a record that still knows every file as the charm's.
type manifest struct {
	Files map[string]record `json:"files"`
	// Dirs are directories that the charm made, ascending.
	Dirs []string `json:"dirs,omitempty"`
}

// record is one file that the charm wrote or is about to write.
type record struct {
	// Digests are the SHA-256 of what the charm may have written, in hex.
	Digests []string `json:"sha256"`
	// Replaced is where somebody else's file went that stood at the path before.
	Replaced string `json:"replaced,omitempty"`
}

// wrote says that the charm wrote what is there.
func (r record) wrote(there found) bool {
	return there.regular && slices.Contains(r.Digests, sum(there.content))
}

func (m manifest) clone() manifest {
	return manifest{Files: maps.Clone(m.Files), Dirs: slices.Clone(m.Dirs)}
}

func (m manifest) equal(other manifest) bool {
	return slices.Equal(m.Dirs, other.Dirs) && maps.EqualFunc(m.Files, other.Files, func(a, b record) bool {
		return a.Replaced == b.Replaced && slices.Equal(a.Digests, b.Digests)
	})
}

// within says that a file of the manifest is somewhere below dir.
func (m manifest) within(dir string) bool {
	for path := range m.Files {
		if strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

func (f *Files) load() (manifest, error) {
	m := manifest{Files: map[string]record{}}
	if err := readJSON(f.manifest, &m); err != nil {
		return manifest{}, err
	}
	return m, nil
}

func (f *Files) save(m manifest) error {
	return writeJSON(f.disk, f.manifest, m)
}

// damaged ends the name of a record that could not be understood.
const damaged = ".damaged"

// readJSON reads one of the charm's own records; one that is not there leaves v as
// it is. So does one that a broken disk or a heavy hand left damaged, which is put
// aside: a record tells what needs no second look, and a unit that forgot can look
// again, but one that fails at every hook is of no use to anybody.
func readJSON[T any](path string, v *T) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed("read", path, err)
	}
	if !decodes[T](data) {
		return failed("put aside", path, os.Rename(path, path+damaged))
	}
	return decode(data, v)
}

// decodes says that data is a whole T. It tries with a T of its own, because half of
// what it reads may be good.
func decodes[T any](data []byte) bool {
	// What is null would leave a map without a place for anything.
	null := string(bytes.TrimSpace(data)) == "null"
	return json.Valid(data) && !null && decode(data, new(T)) == nil
}

func decode(data []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(v)
}

// writeJSON writes one of the charm's own records, readable by the charm alone.
func writeJSON(d disk, path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return &PathError{Op: "write", Path: path, Err: err}
	}
	if err := ensureDir(filepath.Dir(path), stateMode, owner()); err != nil {
		return err
	}
	return replace(d, path, append(data, '\n'), 0o600)
}

// replace writes one file of the charm's own, whole or not at all.
func replace(d disk, path string, content []byte, mode os.FileMode) error {
	err := d.stage(path, content, mode, owner())
	if err == nil {
		err = d.commit(path)
	}
	if err != nil {
		return failed("write", path, errors.Join(err, d.unstage(path)))
	}
	return failed("write", path, d.settle(filepath.Dir(path)))
}
