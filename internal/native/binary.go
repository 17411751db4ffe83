package native

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// binaries is the directory of the registry binaries that run or are to run. They
// are copies: the charm's own directory is replaced when the charm is upgraded.
const binaries = "bin"

// binaryDigest is the SHA-256 of the registry's binary in hex, as it was noted when
// the binary was built.
func (h *Host) binaryDigest() (string, error) {
	text, err := os.ReadFile(h.options.Registry + ".sha256")
	if err != nil {
		return "", fmt.Errorf("cannot read digest of registry binary: %w", err)
	}
	digest, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if sum, err := hex.DecodeString(digest); err != nil || len(sum) != 32 {
		return "", fmt.Errorf("cannot read digest of registry binary: %s.sha256 holds no SHA-256 in hex", h.options.Registry)
	}
	return digest, nil
}

// install copies the registry's binary to where a plan wants it, unless it is there.
func (h *Host) install(target string) error {
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	if err := copyFile(h.options.Registry, target); err != nil {
		return fmt.Errorf("cannot install registry binary: %w", err)
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	copied, err := os.CreateTemp(filepath.Dir(to), ".registry")
	if err != nil {
		return err
	}
	_, err = io.Copy(copied, source)
	err = errors.Join(err, copied.Chmod(0o755), copied.Sync(), copied.Close())
	if err == nil {
		err = os.Rename(copied.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(copied.Name()))
	}
	return nil
}

// dropBinaries removes the binaries that no service of any unit uses.
func (h *Host) dropBinaries() error {
	used := map[string]bool{}
	files, err := filepath.Glob(h.path("native", "*", planFile))
	if err != nil {
		return fmt.Errorf("cannot list services: %w", err)
	}
	for _, file := range files {
		var s service
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil {
			return fmt.Errorf("cannot read service: %w", err)
		}
		used[s.Binary] = true
	}
	installed, err := filepath.Glob(h.path(binaries, "registry-*"))
	if err != nil {
		return fmt.Errorf("cannot list registry binaries: %w", err)
	}
	for _, binary := range installed {
		if used[binary] {
			continue
		}
		if err := os.Remove(binary); err != nil {
			return fmt.Errorf("cannot remove registry binary: %w", err)
		}
	}
	return nil
}
