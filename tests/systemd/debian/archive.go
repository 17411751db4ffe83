package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Index makes dir, with the packages in it, a flat archive for APT. It is not signed.
func Index(ctx context.Context, dir string) error {
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	var index bytes.Buffer
	for _, path := range packages {
		fields, err := exec.CommandContext(ctx, "dpkg-deb", "--field", path).Output()
		if err != nil {
			return fmt.Errorf("cannot index %s: %w", path, err)
		}
		size, sum, err := measure(path)
		if err != nil {
			return fmt.Errorf("cannot index %s: %w", path, err)
		}
		fmt.Fprintf(&index, "%sFilename: %s\nSize: %d\nSHA256: %x\n\n", fields, filepath.Base(path), size, sum)
	}
	return os.WriteFile(filepath.Join(dir, "Packages"), index.Bytes(), 0o644)
}

func measure(path string) (size int64, sum []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	size, err = io.Copy(hash, file)
	return size, hash.Sum(nil), err
}

// Package makes a package of no content in dir, for every architecture.
func Package(ctx context.Context, dir, name, version string) error {
	tree, err := os.MkdirTemp("", "package")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tree) }()
	if err := os.Mkdir(filepath.Join(tree, "DEBIAN"), 0o755); err != nil {
		return err
	}
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: a test\n", name, version)
	if err := os.WriteFile(filepath.Join(tree, "DEBIAN", "control"), []byte(control), 0o644); err != nil {
		return err
	}
	return run(ctx, "dpkg-deb", "--build", tree, filepath.Join(dir, name+"_"+version+"_all.deb"))
}
