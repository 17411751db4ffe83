// Package pack makes the charm's zip archive, byte for byte the same from the same
// files. Building the programs that go into it is left to its caller.
package pack

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/juju/charm/v12"
)

// Charm is what goes into an archive.
type Charm struct {
	// Root is the directory of metadata.yaml, config.yaml, actions.yaml, LICENSE and
	// README.md.
	Root string
	// Arch is the architecture by Juju's name, which is Go's too.
	Arch string
	// Dispatch and Registry are the paths of the two programs.
	Dispatch, Registry string
	// Hooks and Actions are the names that dispatch answers to.
	Hooks, Actions []string
	// Version says what the charm was made from, as `juju status` shows it.
	Version string
}

// bases are the releases of Ubuntu that the charm is for.
func bases() []string { return []string{"22.04", "24.04"} }

// entryTime is the time of every entry: the earliest that a zip archive can hold.
func entryTime() time.Time { return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) }

// entry is a file of the archive, or a symbolic link if link is set.
type entry struct {
	name       string
	content    []byte
	link       string
	executable bool
}

// File writes the archive to the named file, and leaves there what it was before
// unless Juju's own code can read the new one.
func (c Charm) File(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("cannot pack charm: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(name), ".charm-*")
	if err != nil {
		return fmt.Errorf("cannot pack charm: %w", err)
	}
	defer os.Remove(temp.Name())
	err = c.Write(temp)
	if closing := temp.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("cannot pack charm for %s: %w", c.Arch, err)
	}
	if _, err := charm.ReadCharmArchive(temp.Name()); err != nil {
		return fmt.Errorf("cannot read packed charm for %s: %w", c.Arch, err)
	}
	if err := os.Chmod(temp.Name(), 0o644); err != nil {
		return fmt.Errorf("cannot pack charm for %s: %w", c.Arch, err)
	}
	if err := os.Rename(temp.Name(), name); err != nil {
		return fmt.Errorf("cannot pack charm for %s: %w", c.Arch, err)
	}
	return nil
}

// Write writes the archive. A program for another architecture than Arch is an
// error.
func (c Charm) Write(w io.Writer) error {
	entries, err := c.entries()
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	archive := zip.NewWriter(w)
	for _, entry := range entries {
		if err := entry.write(archive); err != nil {
			return fmt.Errorf("cannot add %s: %w", entry.name, err)
		}
	}
	return archive.Close()
}

func (c Charm) entries() ([]entry, error) {
	var entries []entry
	for _, name := range []string{"metadata.yaml", "config.yaml", "actions.yaml", "LICENSE", "README.md"} {
		content, err := os.ReadFile(filepath.Join(c.Root, name))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: name, content: content})
	}
	dispatch, err := program(c.Dispatch, c.Arch)
	if err != nil {
		return nil, err
	}
	registry, err := program(c.Registry, c.Arch)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(registry)
	entries = append(entries,
		entry{name: "dispatch", content: dispatch, executable: true},
		entry{name: "registry", content: registry, executable: true},
		entry{name: "registry.sha256", content: []byte(hex.EncodeToString(digest[:]) + "\n")},
		entry{name: "manifest.yaml", content: manifest(c.Arch)},
		entry{name: "version", content: []byte(c.Version + "\n")},
	)
	for _, hook := range c.Hooks {
		entries = append(entries, entry{name: "hooks/" + hook, link: "../dispatch"})
	}
	for _, action := range c.Actions {
		entries = append(entries, entry{name: "actions/" + action, link: "../dispatch"})
	}
	return entries, nil
}

func manifest(arch string) []byte {
	text := "bases:\n"
	for _, base := range bases() {
		text += fmt.Sprintf("- architectures:\n  - %s\n  channel: '%s'\n  name: ubuntu\n", arch, base)
	}
	return []byte(text)
}

func (e entry) write(archive *zip.Writer) error {
	mode, content := fs.FileMode(0o644), e.content
	switch {
	case e.link != "":
		mode, content = fs.ModeSymlink|0o777, []byte(e.link)
	case e.executable:
		mode = 0o755
	}
	header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: entryTime()}
	header.SetMode(mode)
	file, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return err
}
