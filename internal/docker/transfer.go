package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"

	"docker-registry-operator/internal/config"
)

// Pull pulls an image as nobody, and tells log each line of progress.
func (e *Engine) Pull(ctx context.Context, name string, log func(line string)) error {
	stream, err := e.api.ImagePull(ctx, name, image.PullOptions{})
	if err != nil {
		return fmt.Errorf("cannot pull %q: %w", name, e.cause(err))
	}
	defer stream.Close()
	if err := follow(stream, log); err != nil {
		return fmt.Errorf("cannot pull %q: %w", name, err)
	}
	return nil
}

// Push pushes an image to the registry that its name names, as a user of it or, if
// user is empty, as nobody. It tells log each line of progress.
func (e *Engine) Push(ctx context.Context, name, user string, password config.Secret, log func(line string)) error {
	auth, err := registry.EncodeAuthConfig(registry.AuthConfig{Username: user, Password: password.Reveal()})
	if err != nil {
		return fmt.Errorf("cannot push %q: %w", name, err)
	}
	stream, err := e.api.ImagePush(ctx, name, image.PushOptions{RegistryAuth: auth})
	if err != nil {
		return fmt.Errorf("cannot push %q: %w", name, e.cause(err))
	}
	defer stream.Close()
	if err := follow(stream, log); err != nil {
		return fmt.Errorf("cannot push %q: %w", name, err)
	}
	return nil
}

// Tag gives an image one more name. The error wraps [ErrNoSuchImage] if there is
// none called name.
func (e *Engine) Tag(ctx context.Context, name, tag string) error {
	if _, err := e.inspectImage(ctx, name); err != nil {
		return e.cause(err)
	}
	if err := e.api.ImageTag(ctx, name, tag); err != nil {
		return fmt.Errorf("cannot tag %q as %q: %w", name, tag, e.cause(err))
	}
	return nil
}

// event is one message of the Engine's stream about a transfer.
type event struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Stream string `json:"stream"`
	Error  string `json:"error"`
	Detail struct {
		Current int64 `json:"current"`
	} `json:"progressDetail"`
}

// follow reads the stream of a transfer to its end. It tells log what happens but
// for the progress within a layer, and returns the error that the stream holds.
func follow(stream io.Reader, log func(line string)) error {
	events := json.NewDecoder(stream)
	for {
		var e event
		err := events.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read the Engine's answer: %w", err)
		}
		if e.Error != "" {
			return errors.New(e.Error)
		}
		if log != nil && e.Status != "" && e.Detail.Current == 0 {
			log(e.line())
		}
	}
}

func (e event) line() string {
	if e.ID == "" {
		return e.Status
	}
	return e.ID + ": " + e.Status
}
