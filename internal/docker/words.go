package docker

import (
	"context"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"docker-registry-operator/internal/admin"
)

// lastWords is why a container's registry says that it ended, or otherwise.
func (e *Engine) lastWords(ctx context.Context, id, otherwise string) string {
	logs, err := e.api.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "60"})
	if err != nil {
		return otherwise
	}
	defer logs.Close()
	var out, errs strings.Builder
	// What was read before an error is as good as all of it.
	_, _ = stdcopy.StdCopy(&out, &errs, logs)
	if words := admin.LastWords(errs.String()); words != "" {
		return words
	}
	if words := admin.LastWords(out.String()); words != "" {
		return words
	}
	return otherwise
}
