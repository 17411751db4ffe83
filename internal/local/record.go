package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gopkg.in/yaml.v3"

	"docker-registry-operator/internal/desired"
)

// kept is what a controller would keep of the unit.
type kept struct {
	Status  keptStatus        `yaml:"status,omitempty"`
	Version string            `yaml:"version,omitempty"`
	Ports   []int             `yaml:"ports,omitempty,flow"`
	Shared  map[string]string `yaml:"shared,omitempty"`
}

type keptStatus struct {
	Level   desired.Level `yaml:"level,omitempty"`
	Message string        `yaml:"message,omitempty"`
}

// record is the file of kept. It has mode 0600, because shared settings are secret.
type record struct {
	path string
}

func (r record) read() (kept, error) {
	var content kept
	data, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return content, nil
	}
	if err != nil {
		return content, fmt.Errorf("cannot read the unit's record: %w", err)
	}
	if err := yaml.Unmarshal(data, &content); err != nil {
		return kept{}, fmt.Errorf("cannot read the unit's record %s: %w", r.path, notYAML(err))
	}
	return content, nil
}

// update changes the record while nobody else does.
func (r record) update(change func(*kept)) error {
	dir := filepath.Dir(r.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the unit's record: %w", err)
	}
	lock, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot lock the unit's record: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("cannot lock the unit's record: %w", err)
	}
	content, err := r.read()
	if err != nil {
		return err
	}
	change(&content)
	data, err := yaml.Marshal(content)
	if err != nil {
		return fmt.Errorf("cannot encode the unit's record: %w", err)
	}
	if err := replace(r.path, data); err != nil {
		return fmt.Errorf("cannot write the unit's record: %w", err)
	}
	return nil
}

// replace writes a file so that it has either the old content or the new one,
// whenever the machine stops.
func replace(name string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), ".unit-*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}
