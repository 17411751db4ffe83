package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// PushFile takes the image of a file or directory into to under the name tag: a
// `docker save` archive, or an OCI image layout, as a directory or as a tar file.
func PushFile(ctx context.Context, file, tag string, to Destination, progress func(string)) error {
	found, err := open(file)
	if err != nil {
		return err
	}
	defer found.close()
	if found.index != nil {
		return pushIndex(ctx, found.index, tag, to, progress)
	}
	return pushImage(ctx, found.image, tag, to, progress)
}

// NameInFile is the name that the file says its image has: `repository:tag`, or a
// full reference. An error says that there is none, or more than one.
func NameInFile(file string) (string, error) {
	if manifest, err := tarball.LoadManifest(opener(file)); err == nil {
		if len(manifest) != 1 || len(manifest[0].RepoTags) != 1 {
			return "", fmt.Errorf("%s does not name exactly one image", file)
		}
		return manifest[0].RepoTags[0], nil
	}
	return "", fmt.Errorf("%s does not name its image", file)
}

// opened is the one image of a file: an image or an index.
type opened struct {
	image v1.Image
	index v1.ImageIndex
	close func()
}

func open(file string) (opened, error) {
	info, err := os.Stat(file)
	if err != nil {
		return opened{}, fmt.Errorf("cannot open image: %w", err)
	}
	if info.IsDir() {
		return openLayout(file)
	}
	if image, err := tarball.ImageFromPath(file, nil); err == nil {
		return opened{image: image, close: func() {}}, nil
	}
	directory, err := os.MkdirTemp("", "oci-layout-")
	if err != nil {
		return opened{}, err
	}
	remove := func() { os.RemoveAll(directory) }
	if err := unpack(file, directory); err != nil {
		remove()
		return opened{}, err
	}
	found, err := openLayout(directory)
	if err != nil {
		remove()
		return opened{}, fmt.Errorf("%s: %w", file, err)
	}
	found.close = remove
	return found, nil
}

// openLayout opens an OCI image layout that holds one image.
func openLayout(directory string) (opened, error) {
	index, err := layout.ImageIndexFromPath(directory)
	if err != nil {
		return opened{}, fmt.Errorf("cannot open image: neither a docker save archive nor an OCI image layout: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return opened{}, fmt.Errorf("cannot read OCI image layout: %w", err)
	}
	if len(manifest.Manifests) != 1 {
		return opened{}, fmt.Errorf("cannot choose among the %d images of an OCI image layout; save one", len(manifest.Manifests))
	}
	only := manifest.Manifests[0]
	found := opened{close: func() {}}
	if only.MediaType.IsIndex() {
		found.index, err = index.ImageIndex(only.Digest)
		return found, err
	}
	found.image, err = index.Image(only.Digest)
	return found, err
}

// unpack writes the regular files of a tar file below directory.
func unpack(file, directory string) error {
	source, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("cannot open image: %w", err)
	}
	defer source.Close()
	root, err := os.OpenRoot(directory)
	if err != nil {
		return err
	}
	defer root.Close()
	entries := tar.NewReader(source)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read image %s: %w", file, err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := unpackFile(root, header.Name, entries); err != nil {
			return fmt.Errorf("cannot unpack image %s: %w", file, err)
		}
	}
}

func unpackFile(root *os.Root, name string, content io.Reader) error {
	name = filepath.Clean(name)
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	target, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, content)
	return errors.Join(err, target.Close())
}

func opener(file string) tarball.Opener {
	return func() (io.ReadCloser, error) { return os.Open(file) }
}
