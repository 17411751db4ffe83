// Package charmzip packs small charms for tests of the tests. The project's own charm is packed by
// its Makefile.
package charmzip

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Pack writes the files of dir to a charm at path. Those named dispatch and those below hooks and
// actions become executable.
func Pack(path, dir string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("cannot pack charm: %w", err)
	}
	defer func() { _ = file.Close() }()
	archive := zip.NewWriter(file)
	root := os.DirFS(dir)
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return add(archive, root, name)
	})
	if err != nil {
		return fmt.Errorf("cannot pack charm: %w", err)
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("cannot pack charm: %w", err)
	}
	return file.Close()
}

func add(archive *zip.Writer, root fs.FS, name string) error {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	header := &zip.FileHeader{Name: filepath.ToSlash(name), Method: zip.Deflate}
	header.SetMode(0o644)
	if name == "dispatch" || strings.HasPrefix(name, "hooks/") || strings.HasPrefix(name, "actions/") {
		header.SetMode(0o755)
	}
	w, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
