package script_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"docker-registry-operator/tests/charmzip"
	"docker-registry-operator/tests/script"
)

// TestCommands tells stories about the charm of testdata that each command must pass.
func TestCommands(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	tiny := filepath.Join(t.TempDir(), "tiny.charm")
	if err := charmzip.Pack(tiny, "../juju/testdata/tiny"); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: script.Commands(),
		Setup: func(env *testscript.Env) error {
			env.Setenv("TINY", tiny)
			return script.Setup(env)
		},
		RequireUniqueNames: true,
	})
}
