package s3

import (
	"context"

	"docker-registry-operator/tests/engine/program"
)

// What is built, and of which version: another may answer differently.
const versitygw, version = "github.com/versity/versitygw/cmd/versitygw", "v1.8.0"

// Program compiles versitygw into the project's build directory and returns its path, for those who run it
// themselves. Only the first call takes minutes; it is safe to call from several processes at a time.
func Program(ctx context.Context) (string, error) {
	return program.Install(ctx, versitygw, version)
}
