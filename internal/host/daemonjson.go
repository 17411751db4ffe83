package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"docker-registry-operator/internal/desired"
)

// daemonFile is dockerd's configuration file: a JSON object whose keys keep their
// order, because a person wrote it.
type daemonFile struct {
	path   string
	exists bool
	mode   os.FileMode
	keys   []string
	values map[string]json.RawMessage
}

// readDaemonFile reads the file; one that is not there is an empty object.
func readDaemonFile(path string) (daemonFile, error) {
	file := daemonFile{path: path, mode: 0o644, values: map[string]json.RawMessage{}}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, failed("read", path, err)
	}
	file.exists, file.mode = true, info.Mode().Perm()
	data, err := os.ReadFile(path)
	if err != nil {
		return file, failed("read", path, err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return file, nil
	}
	if err := file.decode(data); err != nil {
		return file, &PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: %v", desired.ErrMalformed, err)}
	}
	return file, nil
}

func (f *daemonFile) decode(data []byte) error {
	if err := json.Unmarshal(data, &f.values); err != nil {
		return err
	}
	if f.values == nil {
		return errors.New("not a JSON object")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		if name := key.(string); !slices.Contains(f.keys, name) {
			f.keys = append(f.keys, name)
		}
	}
	return nil
}

// set sets a key, or removes it if value is nil, and says whether that changed it.
func (f *daemonFile) set(key string, value json.RawMessage) bool {
	present, known := f.values[key]
	switch {
	case sameJSON(present, value):
		return false
	case value == nil:
		delete(f.values, key)
		f.keys = slices.DeleteFunc(slices.Clone(f.keys), func(k string) bool { return k == key })
		return true
	case !known:
		f.keys = append(f.keys, key)
	}
	f.values[key] = value
	return true
}

// list is a key that holds a list of strings; nil if it does not.
func (f *daemonFile) list(key string) []string {
	var list []string
	if json.Unmarshal(f.values[key], &list) != nil {
		return nil
	}
	return list
}

// encode is the file's bytes.
func (f *daemonFile) encode() ([]byte, error) {
	var compact bytes.Buffer
	compact.WriteByte('{')
	for i, key := range f.keys {
		if i > 0 {
			compact.WriteByte(',')
		}
		name, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		compact.Write(name)
		compact.WriteByte(':')
		compact.Write(f.values[key])
	}
	compact.WriteByte('}')
	var indented bytes.Buffer
	if err := json.Indent(&indented, compact.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	indented.WriteByte('\n')
	return indented.Bytes(), nil
}

// write writes the file through a symbolic link if it is one, and removes it if
// nothing is left in it.
func (f *daemonFile) write() error {
	if len(f.keys) == 0 {
		return failed("remove", f.path, osDisk{}.remove(f.path))
	}
	content, err := f.encode()
	if err != nil {
		return &PathError{Op: "write", Path: f.path, Err: err}
	}
	target := f.path
	if f.exists {
		target, err = filepath.EvalSymlinks(f.path)
	} else {
		err = os.MkdirAll(filepath.Dir(f.path), 0o755)
	}
	if err != nil {
		return failed("write", f.path, err)
	}
	return replace(osDisk{}, target, content, f.mode)
}

// sameJSON says that two values mean the same.
func sameJSON(a, b json.RawMessage) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	var left, right any
	if json.Unmarshal(a, &left) != nil || json.Unmarshal(b, &right) != nil {
		return false
	}
	return reflect.DeepEqual(left, right)
}
