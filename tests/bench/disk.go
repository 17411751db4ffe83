package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// diskSize is that of a disk in bytes. It takes as much as is written to it.
const diskSize = 16 << 30

// A disk has a file system with a journal, whatever the machine has: without one there is no promise to keep
// through a power cut, and each sync is on its own.
type disk struct{ dir, image string }

func newDisk(ctx context.Context) (*disk, error) {
	dir, err := os.MkdirTemp("", "bench-disk-")
	if err != nil {
		return nil, err
	}
	d := &disk{filepath.Join(dir, "mounted"), filepath.Join(dir, "image")}
	err = errors.Join(os.Mkdir(d.dir, 0o755), os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, diskSize))
	if err == nil {
		err = execute(ctx, "mkfs.ext4", "-q", "-F", d.image)
	}
	if err == nil {
		err = execute(ctx, "mount", "-o", "loop", d.image, d.dir)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return d, nil
}

// server starts a registry that keeps images on the disk.
func (d *disk) server(ctx context.Context, program string) (*server, error) {
	dir, err := os.MkdirTemp(d.dir, "")
	if err != nil {
		return nil, err
	}
	s, _, err := begin(ctx, &server{name: program, dir: dir})
	return s, err
}

func (d *disk) close() error {
	if err := execute(context.Background(), "umount", d.dir); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Dir(d.dir))
}

func execute(ctx context.Context, program string, words ...string) error {
	if said, err := exec.CommandContext(ctx, program, words...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, said)
	}
	return nil
}
