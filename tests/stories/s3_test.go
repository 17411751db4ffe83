package stories

import (
	"context"

	"github.com/rogpeppe/go-internal/testscript"

	server "docker-registry-operator/tests/engine/s3"
)

// s3 is the command of a script that compiles an S3 server, and keeps its path as $S3.
func s3(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: s3")
	}
	program, err := server.Program(context.Background())
	ts.Check(err)
	ts.Setenv("S3", program)
}
