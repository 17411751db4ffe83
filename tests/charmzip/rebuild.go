package charmzip

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// Rebuild writes to path the packed charm from as another release would be: with a registry that does
// the same and is another program nevertheless.
func Rebuild(path, from string) error {
	if err := rebuild(path, from); err != nil {
		return fmt.Errorf("cannot rebuild charm %s: %w", from, err)
	}
	return nil
}

func rebuild(path, from string) (err error) {
	old, err := zip.OpenReader(from)
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	archive := zip.NewWriter(file)
	for _, entry := range old.File {
		switch entry.Name {
		case "registry":
			err = replaceProgram(archive, entry)
		case "registry.sha256": // replaceProgram writes it
		default:
			err = archive.Copy(entry)
		}
		if err != nil {
			return err
		}
	}
	return archive.Close()
}

// replaceProgram adds bytes behind a program's end, which the kernel does not look at.
func replaceProgram(archive *zip.Writer, entry *zip.File) error {
	reader, err := entry.Open()
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	program, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	program = append(program, "another release"...)
	sum := sha256.Sum256(program)
	return errors.Join(
		store(archive, entry.Name, 0o755, program),
		store(archive, entry.Name+".sha256", 0o644, []byte(hex.EncodeToString(sum[:])+"\n")),
	)
}

func store(archive *zip.Writer, name string, mode os.FileMode, content []byte) error {
	header := &zip.FileHeader{Name: name}
	header.SetMode(mode)
	w, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}
