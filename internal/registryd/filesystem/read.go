package filesystem

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"docker-registry-operator/internal/registryd/rawfile"
)

// GetContent is the whole content of a file.
func (d *driver) GetContent(_ context.Context, path string) ([]byte, error) {
	full, err := d.full(path)
	if err != nil {
		return nil, err
	}
	content, err := read(full)
	if up, ok := uploadOf(path); err == nil && ok && up.file == startedAt && len(content) == 0 {
		content, err = begun(full)
	}
	return content, failed("read", path, err)
}

func read(full string) ([]byte, error) {
	file, err := rawfile.Open(full, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	info, err := file.Stat()
	if err == nil {
		content.Grow(int(info.Size()) + bytes.MinRead)
		_, err = content.ReadFrom(file)
	}
	return content.Bytes(), errors.Join(err, file.Close())
}

// begun is when an upload began of which a power cut has left the file but not its content. Without it the
// upload would stay for good.
func begun(full string) ([]byte, error) {
	info, err := os.Stat(full)
	if err != nil {
		return nil, err
	}
	return []byte(info.ModTime().UTC().Format(time.RFC3339)), nil
}

// Reader reads a file from an offset on.
func (d *driver) Reader(_ context.Context, path string, offset int64) (io.ReadCloser, error) {
	full, err := d.full(path)
	if err != nil {
		return nil, err
	}
	file, err := rawfile.Open(full, os.O_RDONLY)
	if err != nil {
		return nil, failed("read", path, err)
	}
	if offset == 0 {
		return file, nil
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, failed("read", path, errors.Join(err, file.Close()))
	}
	return file, nil
}

// Stat tells of a file or a directory.
func (d *driver) Stat(_ context.Context, path string) (storagedriver.FileInfo, error) {
	full, err := d.full(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(full)
	if err != nil {
		return nil, failed("look up", path, err)
	}
	return infoOf(path, info), nil
}

func infoOf(path string, info fs.FileInfo) storagedriver.FileInfo {
	fields := storagedriver.FileInfoFields{Path: path, IsDir: info.IsDir(), ModTime: info.ModTime()}
	if !fields.IsDir {
		fields.Size = info.Size()
	}
	return storagedriver.FileInfoInternal{FileInfoFields: fields}
}

// List is what a directory has, in order. Files that are being written are not among it.
func (d *driver) List(ctx context.Context, dir string) ([]string, error) {
	names, err := d.names(dir)
	if err != nil {
		return nil, err
	}
	up, uploading := uploadOf(dir)
	listed := make([]string, 0, len(names))
	for _, name := range names {
		child := path.Join(dir, name)
		if uploading && up.isHashState() && d.isEmpty(ctx, child) {
			continue
		}
		listed = append(listed, child)
	}
	return listed, nil
}

// isEmpty says that a file has no content: a power cut may leave the state of a digest so, of which
// distribution would make an error.
func (d *driver) isEmpty(ctx context.Context, path string) bool {
	info, err := d.Stat(ctx, path)
	return err == nil && !info.IsDir() && info.Size() == 0
}
