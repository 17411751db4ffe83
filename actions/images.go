package actions

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/google/shlex"
)

// images lists the images of the host's Docker Engine.
func images(ctx context.Context, call call) (results, error) {
	return call.docker(ctx, "images")
}

// rmi removes images from the host's Docker Engine; the registry keeps its own.
func rmi(ctx context.Context, call call) (results, error) {
	return call.docker(ctx, "rmi")
}

// docker runs a docker command with the words of parameter options, split as a
// shell splits them.
func (c call) docker(ctx context.Context, command string) (results, error) {
	options, err := c.params.text("options")
	if err != nil {
		return nil, err
	}
	words, err := shlex.Split(options)
	if err != nil {
		return nil, fmt.Errorf("parameter %q: cannot split %q into words: %w; close every quote", "options", options, err)
	}
	output, err := c.Command(ctx, "docker", append([]string{command}, words...)...)
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("cannot find the docker command on the unit; install the package that has it: juju config docker-registry extra_packages=docker-cli")
	}
	if err != nil {
		return nil, err
	}
	return results{"outcome": "success", "output": output}, nil
}
