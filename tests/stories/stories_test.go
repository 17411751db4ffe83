// Package stories tells, in the scripts of testdata, what happens to a unit of the packed charm on a
// machine with a real engine, from deploy to removal. The commands are those of package script.
package stories

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"docker-registry-operator/tests/gobuild"
	"docker-registry-operator/tests/script"
)

// root is the project's directory.
const root = "../.."

// charm is where `make charm` puts the charm for this machine.
func charm() (string, error) {
	return filepath.Abs(filepath.Join(root, "build", "docker-registry_"+runtime.GOARCH+".charm"))
}

// TestMain packs the charm once for all stories.
func TestMain(m *testing.M) {
	stories, err := filepath.Glob("testdata/*.txtar")
	if err == nil && len(stories) > 0 && os.Getuid() == 0 {
		err = pack()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func pack() error {
	_, err := gobuild.Charm(context.Background())
	return err
}

func TestStories(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	stories, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(stories) == 0 {
		t.Skip("no story is told yet")
	}
	path, err := charm()
	if err != nil {
		t.Fatal(err)
	}
	commands := script.Commands()
	commands["stock"], commands["s3"] = stock, s3
	testscript.Run(t, testscript.Params{
		Files: stories,
		Cmds:  commands,
		Setup: func(env *testscript.Env) error {
			env.Setenv("CHARM", path)
			return script.Setup(env)
		},
		RequireUniqueNames: true,
	})
}
