package storagetest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"docker-registry-operator/tests/engine/program"
)

// tool is a client of registries, with a home of its own.
type tool struct {
	t    *testing.T
	path string
	home string
}

func newTool(t *testing.T, client string) tool {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles programs")
	}
	path, err := program.Build(t.Context(), client)
	must(t, err)
	home := t.TempDir()
	must(t, os.WriteFile(home+"/content", []byte("content\n"), 0o600))
	return tool{t, path, home}
}

// run ends the test if the client fails, and returns what it says.
func (c tool) run(args ...string) string {
	c.t.Helper()
	command := exec.CommandContext(c.t.Context(), c.path, args...)
	command.Dir = c.home
	command.Env = append(os.Environ(), "HOME="+c.home, "XDG_CONFIG_HOME="+c.home)
	command.Stdin = strings.NewReader("signature\n")
	out, err := command.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// says wants what the client says to contain words.
func (c tool) says(words string, args ...string) {
	c.t.Helper()
	if said := c.run(args...); !strings.Contains(said, words) {
		c.t.Errorf("%v does not say %q:\n%s", args, words, said)
	}
}

// TestOras attaches an artifact to another and copies both.
func TestOras(t *testing.T) {
	oras := newTool(t, program.Oras)
	onDisk.prepare(t)
	address := startRegistry(t, onDisk, onDisk.storage(directory(t), "")).address
	oras.run("push", "--plain-http", address+"/app:v1", "content")
	oras.run("attach", "--plain-http", "--artifact-type", "example/sbom", address+"/app:v1", "content")
	oras.says("example/sbom", "discover", "--plain-http", address+"/app:v1")
	oras.run("cp", "-r", "--from-plain-http", "--to-plain-http", address+"/app:v1", address+"/copy:v1")
	oras.says("example/sbom", "discover", "--plain-http", address+"/copy:v1")
	oras.run("pull", "--plain-http", "-o", "pulled", address+"/copy:v1")
}

// TestRegctl puts an artifact on another, copies both, and deletes a tag.
func TestRegctl(t *testing.T) {
	regctl := newTool(t, program.Regctl)
	onDisk.prepare(t)
	address := startRegistry(t, onDisk, onDisk.storage(directory(t), "")).address
	regctl.run("registry", "set", address, "--tls", "disabled")
	regctl.run("artifact", "put", "--artifact-type", "example/app", address+"/app:v1")
	regctl.run("artifact", "put", "--artifact-type", "example/signature", "--subject", address+"/app:v1")
	regctl.says("example/signature", "artifact", "list", "--filter-artifact-type", "example/signature", address+"/app:v1")
	regctl.run("image", "copy", "--referrers", address+"/app:v1", address+"/copy:v1")
	regctl.says("example/signature", "artifact", "list", address+"/copy:v1")
	regctl.run("tag", "delete", address+"/app:v1")
	if tags := regctl.run("tag", "ls", address+"/app"); strings.Contains(tags, "v1") {
		t.Errorf("a tag that was deleted is listed: %s", tags)
	}
}

// TestNotation signs an artifact and verifies the signature.
func TestNotation(t *testing.T) {
	oras, notation := newTool(t, program.Oras), newTool(t, program.Notation)
	onDisk.prepare(t)
	address := startRegistry(t, onDisk, onDisk.storage(directory(t), "")).address
	oras.run("push", "--plain-http", address+"/app:v1", "content")
	policy := `{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"strict"},` +
		`"trustStores":["ca:example.com"],"trustedIdentities":["*"]}]}`
	must(t, os.WriteFile(notation.home+"/policy.json", []byte(policy), 0o600))
	notation.run("cert", "generate-test", "--default", "example.com")
	notation.run("policy", "import", "policy.json")
	notation.run("sign", "--insecure-registry", address+"/app:v1")
	notation.says("Successfully verified", "verify", "--insecure-registry", address+"/app:v1")
}
