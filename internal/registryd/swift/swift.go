// Package swift is a storage driver that keeps images in a container of OpenStack Swift.
//
// What it stores is laid out as the driver of that name in distribution version 2 did, so
// that either reads what the other wrote: objects under `files/`, the segments of large
// ones under `segments/`. It leaves authentication and token renewal to
// github.com/ncw/swift.
package swift

import (
	"context"
	"fmt"
	"io"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/base"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
)

const name = "swift"

// Register makes the driver known to distribution, which has one list of drivers for the
// whole process, under the name "swift".
func Register() { factory.Register(name, maker{}) }

type maker struct{}

// Create makes a driver from the section storage.swift of a configuration.
func (maker) Create(ctx context.Context, parameters map[string]any) (storagedriver.StorageDriver, error) {
	parsed, err := Parse(parameters)
	if err != nil {
		return nil, err
	}
	return New(ctx, parsed)
}

// New signs in and returns a driver. The container is made if it is missing.
func New(ctx context.Context, parameters Parameters) (storagedriver.StorageDriver, error) {
	store, err := open(ctx, parameters)
	if err != nil {
		return nil, err
	}
	return &base.Base{StorageDriver: &driver{
		store:     store,
		layout:    layout{prefix: parameters.Prefix},
		chunkSize: parameters.ChunkSize,
		signer:    newSigner(store, parameters),
	}}, nil
}

type driver struct {
	store  *store
	layout layout
	signer *signer
	// chunkSize is the size of a segment, in bytes.
	chunkSize int
}

// Name is "swift".
func (*driver) Name() string { return name }

// GetContent is the whole content of a file.
func (d *driver) GetContent(ctx context.Context, path string) ([]byte, error) {
	content, err := d.store.read(ctx, d.layout.file(path))
	return content, d.failed("read", path, err)
}

// PutContent replaces a file at once.
func (d *driver) PutContent(ctx context.Context, path string, content []byte) error {
	_, err := d.store.put(ctx, d.layout.file(path), wholeOf(content), nil)
	return d.failed("write", path, err)
}

// Reader reads a file from an offset on. It takes up again where a connection breaks, and
// fails rather than ends where a part of the file is missing.
func (d *driver) Reader(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	reader, err := newReader(ctx, d.store, d.layout.file(path), offset)
	if err != nil {
		return nil, d.failed("read", path, err)
	}
	return reader, nil
}

// Stat tells of a file or a directory. The root always exists while the container does.
func (d *driver) Stat(ctx context.Context, path string) (storagedriver.FileInfo, error) {
	info := storagedriver.FileInfoFields{Path: path}
	if path == "/" {
		info.IsDir = true
		return storagedriver.FileInfoInternal{FileInfoFields: info}, d.failed("look up", path, d.store.probe(ctx))
	}
	object, err := d.store.head(ctx, d.layout.file(path))
	if missing(err) {
		info.IsDir, err = d.isDirectory(ctx, path)
	}
	if err != nil {
		return nil, d.failed("look up", path, err)
	}
	info.Size, info.ModTime = object.size, object.modified
	return storagedriver.FileInfoInternal{FileInfoFields: info}, nil
}

// isDirectory reports that there are files below path, or that there is nothing.
func (d *driver) isDirectory(ctx context.Context, path string) (bool, error) {
	below := d.layout.file(path) + "/"
	listed, err := d.store.page(ctx, query{prefix: below, limit: 1})
	if err != nil {
		return false, err
	}
	if len(listed) == 0 && len(d.store.fresh.under(below)) == 0 {
		return false, errMissing
	}
	return true, nil
}

// failed puts what was to be done before a cause, and tells distribution what is missing.
func (d *driver) failed(what, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case missing(err):
		return storagedriver.PathNotFoundError{Path: path}
	}
	return fmt.Errorf("cannot %s %s: %w", what, path, err)
}
