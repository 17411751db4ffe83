// Package project holds the project to its own rules: who may import whom, that
// declarations and code agree, and how long a function may be. It has no code, only
// tests.
package project

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "docker-registry-operator"

type goPackage struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports"}, args...)...)
	command.Dir = "../.."
	output, err := command.Output()
	if err != nil {
		t.Fatalf("cannot list packages: %v", err)
	}
	var packages []goPackage
	decoder := json.NewDecoder(strings.NewReader(string(output)))
	for {
		var found goPackage
		if err := decoder.Decode(&found); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, found)
	}
}

// allowed is who may import whom in this module; see docs/architecture.md. What is
// not here may import none of the module's packages. A name that ends in /... stands
// for all packages below it.
func allowed() map[string][]string {
	adapter := []string{"internal/config", "internal/desired", "internal/operator", "internal/relation"}
	return map[string][]string{
		"cmd/charm": {
			"", "actions", "hooks", "internal/config", "internal/desired", "internal/operator", "internal/docker",
			"internal/host", "internal/juju", "internal/local", "internal/native",
		},
		"cmd/demo":              {},
		"cmd/pack":              {"actions", "hooks", "internal/pack"},
		"cmd/registry":          {"internal/registryd/..."},
		"actions":               {"internal/config", "internal/desired", "internal/image", "internal/operator"},
		"internal/config":       {"internal/policy"},
		"internal/operator":     {"internal/config", "internal/policy", "internal/relation", "internal/desired", "internal/reconcile", "internal/htpasswd"},
		"internal/reconcile":    {"internal/config", "internal/desired", "internal/relation"},
		"internal/desired":      {"internal/config", "internal/policy", "internal/registryconf", "internal/relation"},
		"internal/registryconf": {"internal/config"},
		"internal/relation":     {"internal/config"},
		"internal/htpasswd":     {"internal/config"},
		"internal/image":        {"internal/config"},
		"internal/admin":        {"internal/desired"},
		"internal/juju":         adapter,
		"internal/local":        adapter,
		"internal/host":         adapter,
		"internal/docker":       append([]string{"internal/admin"}, adapter...),
		"internal/native":       append([]string{"internal/admin"}, adapter...),
		// The charm tells the operator what is wrong with a policy that the registry decides by.
		"internal/registryd/...": {"internal/registryd/...", "internal/policy"},
	}
}

func matches(pattern, name string) bool {
	tree, isTree := strings.CutSuffix(pattern, "/...")
	return name == pattern || isTree && (name == tree || strings.HasPrefix(name, tree+"/"))
}

// local is a package's name within the module.
func local(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func TestImports(t *testing.T) {
	for _, found := range list(t, "./...") {
		from, _ := local(found.ImportPath)
		if strings.Contains(from, "testdata") {
			continue
		}
		var may []string
		for pattern, names := range allowed() {
			if matches(pattern, from) {
				may = append(may, names...)
			}
		}
		for _, path := range found.Imports {
			to, ours := local(path)
			if ours && !slices.ContainsFunc(may, func(pattern string) bool { return matches(pattern, to) }) {
				t.Errorf("%s imports %s; see docs/architecture.md for who may import whom", found.ImportPath, path)
			}
		}
	}
}

// TestPure holds that decisions depend on nothing but their input.
func TestPure(t *testing.T) {
	impure := []string{
		"context", "crypto/rand", "database/sql", "io/fs", "io/ioutil", "log", "math/rand", "math/rand/v2",
		"net", "net/http", "os", "os/exec", "path/filepath", "syscall", "time",
	}
	pure := []string{"./internal/config", "./internal/relation", "./internal/registryconf", "./internal/desired", "./internal/policy"}
	for _, found := range list(t, pure...) {
		for _, path := range found.Imports {
			if slices.Contains(impure, path) {
				t.Errorf("%s imports %s; read it elsewhere and hand it over", found.ImportPath, path)
			}
		}
	}
}

// TestLinked holds that the charm, which starts at every hook, stays small, and that
// neither program links what is under the AGPL.
func TestLinked(t *testing.T) {
	const distribution = "github.com/distribution/distribution/v3"
	forbidden := map[string][]string{
		"./cmd/charm": {
			distribution + "/registry/...", "github.com/aws/...", "github.com/Azure/...", "cloud.google.com/...",
			"google.golang.org/...", "github.com/juju/juju/...", module + "/internal/registryd/...",
		},
		"./cmd/registry": {
			"github.com/juju/...", "github.com/docker/docker/...", module + "/hooks", module + "/actions",
			module + "/internal/config", module + "/internal/operator", module + "/internal/juju",
		},
	}
	for command, patterns := range forbidden {
		for _, found := range list(t, "-deps", command) {
			if slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, found.ImportPath) }) {
				t.Errorf("%s links %s", command, found.ImportPath)
			}
		}
	}
}
