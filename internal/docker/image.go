package docker

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"

	"docker-registry-operator/internal/desired"
)

// builtIn is the name of the images that the charm makes of its own registry. Their
// tag is the beginning of the registry's digest, so a tag never changes its content.
const builtIn = "docker-registry-charm"

// labelContract marks an image whose registry has an admin socket.
const labelContract = "docker-registry.contract"

// image is what a container of this image is created from: the built-in image's tag
// for "", otherwise the ID of the image that has the name now.
func (e *Engine) image(ctx context.Context, name string) (string, error) {
	if name == "" {
		digest, err := e.binaryDigest()
		return builtIn + ":" + digest[:min(12, len(digest))], err
	}
	found, err := e.inspectImage(ctx, name)
	return found.ID, err
}

func (e *Engine) inspectImage(ctx context.Context, name string) (image.InspectResponse, error) {
	found, err := e.api.ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		err = ErrNoSuchImage
	}
	if err != nil {
		return image.InspectResponse{}, fmt.Errorf("cannot inspect image %q: %w", name, err)
	}
	return found, nil
}

// binaryDigest is the SHA-256 of the registry's binary in hex, as it was noted when
// the binary was built.
func (e *Engine) binaryDigest() (string, error) {
	text, err := os.ReadFile(e.options.Registry + ".sha256")
	if err != nil {
		return "", fmt.Errorf("cannot read digest of registry binary: %w", err)
	}
	digest, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if sum, err := hex.DecodeString(digest); err != nil || len(sum) != 32 {
		return "", fmt.Errorf("cannot read digest of registry binary: %s.sha256 holds no SHA-256 in hex", e.options.Registry)
	}
	return digest, nil
}

// load gives the Engine the built-in image of this tag if it has none.
func (e *Engine) load(ctx context.Context, tag string) error {
	_, err := e.inspectImage(ctx, tag)
	if !errors.Is(err, ErrNoSuchImage) {
		return err
	}
	archive, writer := io.Pipe()
	defer archive.Close()
	go func() { writer.CloseWithError(archiveImage(writer, e.options.Registry, tag)) }()
	response, err := e.api.ImageLoad(ctx, archive)
	if err != nil {
		return fmt.Errorf("cannot load registry image: %w", err)
	}
	defer response.Body.Close()
	if err := follow(response.Body, nil); err != nil {
		return fmt.Errorf("cannot load registry image: %w", err)
	}
	e.options.Log.Info("registry image loaded", "image", tag)
	return nil
}

// dropImages removes the built-in images but for one that no container uses.
func (e *Engine) dropImages(ctx context.Context, keep string) error {
	images, err := e.api.ImageList(ctx, image.ListOptions{
		Filters: filters.NewArgs(filters.Arg("reference", builtIn), filters.Arg("label", labelContract)),
	})
	if err != nil {
		return fmt.Errorf("cannot list images: %w", err)
	}
	for _, found := range images {
		for _, tag := range found.RepoTags {
			if tag == keep || !strings.HasPrefix(tag, builtIn+":") {
				continue
			}
			if _, err := e.api.ImageRemove(ctx, tag, image.RemoveOptions{}); err != nil && !gone(err) {
				return fmt.Errorf("cannot remove image %q: %w", tag, err)
			}
		}
	}
	return nil
}

// Image says what an image is, and pulls it if the Engine has none of the name. It
// tells progress to log.
func (e *Engine) Image(ctx context.Context, name string, log func(line string)) (desired.Image, error) {
	found, err := e.inspectImage(ctx, name)
	if errors.Is(err, ErrNoSuchImage) {
		if err := e.Pull(ctx, name, log); err != nil {
			return desired.Image{}, err
		}
		found, err = e.inspectImage(ctx, name)
	}
	if err != nil {
		return desired.Image{}, e.cause(err)
	}
	return classify(found), nil
}

// classify tells a stock registry's major version by the configuration file that it
// reads unless told otherwise: /etc/distribution/config.yml since version 3.
func classify(found image.InspectResponse) desired.Image {
	major := 2
	if found.Config == nil {
		return desired.Image{Stock: true, Major: major}
	}
	if found.Config.Labels[labelContract] != "" {
		return desired.Image{}
	}
	for _, word := range append(found.Config.Entrypoint, found.Config.Cmd...) {
		if strings.Contains(word, "/etc/distribution/") {
			major = 3
		}
	}
	return desired.Image{Stock: true, Major: major}
}
