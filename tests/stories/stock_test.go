package stories

import (
	"context"

	"github.com/rogpeppe/go-internal/testscript"

	"docker-registry-operator/tests/gobuild"
)

// stock is the command of a script that compiles distribution's own registry, of the version that
// the project uses, and keeps its path as $STOCK.
func stock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: stock")
	}
	program, err := gobuild.Stock(context.Background())
	ts.Check(err)
	ts.Setenv("STOCK", program)
}
