package storagetest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"docker-registry-operator/tests/engine/process"
)

// httpSecret is shared by registries on one storage.
const httpSecret = "http-secret-of-all"

// registry is a process with a configuration of its own. It ends with the test.
type registry struct {
	t       *testing.T
	program string
	dir     string
	address string
	debug   string
	secrets []string
	process *process.Process

	configuration section
}

// newRegistry writes a configuration with the storage of the driver and the sections that come on top,
// and starts nothing.
func newRegistry(t *testing.T, b *backend, storage section, more ...section) *registry {
	t.Helper()
	program, err := buildRegistry()
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := process.Addresses(2)
	if err != nil {
		t.Fatal(err)
	}
	r := &registry{
		t: t, program: program, dir: t.TempDir(), address: addresses[0], debug: addresses[1],
		secrets: append([]string{httpSecret}, b.secrets...),
	}
	r.configuration = section{
		"version": 0.1,
		"log":     section{"level": "warn", "accesslog": section{"disabled": true}},
		"storage": section{
			"delete":      section{"enabled": true},
			"redirect":    section{"disable": true},
			"maintenance": section{"uploadpurging": section{"enabled": false}},
		},
		"http":   section{"addr": r.address, "secret": httpSecret, "debug": section{"addr": r.debug}},
		"health": section{"storagedriver": section{"enabled": true, "interval": "1s", "threshold": 1}},
	}
	r.configure(append([]section{{"storage": storage}}, more...)...)
	if cache, ok := r.configuration["redis"].(section); ok {
		r.secrets = append(r.secrets, cache["password"].(string))
	}
	t.Cleanup(r.end)
	return r
}

// startRegistry also starts it.
func startRegistry(t *testing.T, b *backend, storage section, more ...section) *registry {
	t.Helper()
	r := newRegistry(t, b, storage, more...)
	r.start()
	return r
}

// configure adds sections to the configuration file.
func (r *registry) configure(parts ...section) {
	r.t.Helper()
	for _, part := range parts {
		merge(r.configuration, part)
	}
	content, err := yaml.Marshal(r.configuration)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("config.yml", content)
}

func merge(into, from section) {
	for key, value := range from {
		inner, both := into[key].(section)
		added, section := value.(section)
		if both && section {
			merge(inner, added)
			continue
		}
		maps.Copy(into, map[string]any{key: value})
	}
}

func (r *registry) path(name string) string { return filepath.Join(r.dir, name) }

func (r *registry) write(name string, content []byte) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), content, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// start waits until the registry takes connections.
func (r *registry) start() {
	r.t.Helper()
	if err := r.tryStart(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *registry) tryStart() error {
	started, err := process.Start(process.Command{Path: r.program, Args: []string{"serve", r.path("config.yml")}})
	if err != nil {
		return err
	}
	r.keepSecrets()
	r.process = started
	return started.Await(r.t.Context(), process.Accepts(r.address))
}

// runs says whether the process has not ended.
func (r *registry) runs() bool {
	select {
	case <-r.process.Ended():
		return false
	default:
		return true
	}
}

// kill leaves the registry no time for anything.
func (r *registry) kill() { r.process.Kill() }

// client talks to the registry.
func (r *registry) client() *client { return newClient(r.t, "http://"+r.address) }

// log is what the registry has logged of late.
func (r *registry) log() string { return r.process.Output() }

func (r *registry) end() {
	r.process.Stop()
	r.keepSecrets()
	if r.t.Failed() && r.process != nil {
		r.t.Logf("registry %s logged:\n%s", r.address, r.log())
	}
}

// keepSecrets holds that the log of the process so far tells none.
func (r *registry) keepSecrets() {
	if r.process == nil {
		return
	}
	if told := leak(r.log(), r.secrets); told != "" {
		r.t.Errorf("the log tells the secret %q:\n%s", told, r.log())
	}
}

// leak returns the secret that text tells, or nothing.
func leak(text string, secrets []string) string {
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			return secret
		}
	}
	return ""
}

// health is the reason why the registry calls itself unhealthy, or nothing.
func (r *registry) health() string {
	r.t.Helper()
	c := newClient(r.t, "http://"+r.debug)
	answer, err := c.do(request{method: "GET", path: "/debug/health"})
	if err != nil {
		return fmt.Sprint(err)
	}
	if told := leak(string(answer.body), r.secrets); told != "" {
		r.t.Errorf("the health check tells the secret %q: %s", told, answer.body)
	}
	if answer.status == 200 {
		return ""
	}
	return string(answer.body)
}
