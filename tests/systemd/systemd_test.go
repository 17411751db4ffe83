// Package systemd tests the packed charm where a unit usually lives: on machines whose first process is
// systemd and whose packages come from APT. What is not about systemd or APT is left to package stories.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"docker-registry-operator/tests/gobuild"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
	"docker-registry-operator/tests/systemd/debian"
)

// patience bounds each test. An idle machine needs less than a minute for any.
const patience = 8 * time.Minute

// TestMain packs the charm once for all tests.
func TestMain(m *testing.M) {
	if os.Getuid() == 0 {
		if _, err := gobuild.Charm(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// A world is a model with one machine, and archives of packages that the machine reaches.
type world struct {
	*testing.T
	ctx     context.Context
	model   *juju.Model
	machine *machine.Machine
	unit    *juju.Unit
	app     *juju.Application

	// archives is a directory whose entries are archives; closed is set while they do not answer.
	archives string
	closed   atomic.Bool
}

// newWorld makes a machine that boots systemd and has no engine.
func newWorld(t *testing.T) *world { return makeWorld(t, true) }

func makeWorld(t *testing.T, systemd bool) *world {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	system, err := debian.Make(ctx, "../build")
	if errors.Is(err, debian.ErrUnavailable) {
		t.Skip(err)
	}
	check(t, err)
	w := &world{T: t, ctx: ctx, archives: t.TempDir()}
	check(t, os.Symlink(system.Archive, filepath.Join(w.archives, "engine")))
	options := machine.Options{Root: system.Root, Systemd: true}
	if !systemd {
		options = machine.Options{}
	}
	network, err := machine.NewNetwork()
	check(t, err)
	t.Cleanup(func() { check(t, network.Close()) })
	options.Network = network
	w.serve(network)
	w.machine, err = machine.New(ctx, options)
	check(t, err)
	t.Cleanup(func() { check(t, w.machine.Close()) })
	w.model, err = juju.NewModel(ctx, network)
	check(t, err)
	t.Cleanup(func() { check(t, w.model.Close()) })
	return w
}

// serve opens the archives to the network.
func (w *world) serve(network *machine.Network) {
	listener, err := network.Listen(w.ctx, "tcp", machine.Hub+":80")
	check(w.T, err)
	files := http.FileServer(http.Dir(w.archives))
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.closed.Load() {
			http.NotFound(rw, r)
			return
		}
		files.ServeHTTP(rw, r)
	})}
	go func() { _ = server.Serve(listener) }()
	w.Cleanup(func() { check(w.T, server.Close()) })
}

// source is the line of sources.list for an archive.
func source(archive string) string {
	return "deb [trusted=yes] http://" + machine.Hub + "/" + archive + "/ ./"
}

// sources makes an archive the machine's only source of packages.
func (w *world) sources(archive string) {
	w.Helper()
	w.sh("rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/*")
	check(w.T, w.machine.WriteFile("/etc/apt/sources.list", []byte(source(archive)+"\n"), 0o644))
}

// deploy deploys a unit and does not wait for it.
func (w *world) deploy(config map[string]string) {
	w.Helper()
	charm, err := gobuild.Charm(w.ctx)
	check(w.T, err)
	w.app, err = w.model.Deploy(w.ctx, charm, juju.Options{Config: config}, w.machine)
	check(w.T, err)
	w.unit = w.app.Units()[0]
	w.Cleanup(func() { w.Logf("hooks: %v", w.unit.Hooks()) })
}

// idle waits until the unit has nothing left to do, and wants its status to be as given.
func (w *world) idle(want string) {
	w.Helper()
	check(w.T, w.app.WaitIdle(w.ctx))
	if got := w.unit.Status().String(); !strings.HasPrefix(got, want) {
		w.Errorf("status is %q, want %q...", got, want)
	}
}

// config sets options and waits until the unit has taken them.
func (w *world) config(want string, values map[string]string) {
	w.Helper()
	check(w.T, w.app.SetConfig(values))
	w.idle(want)
}

// updateStatus runs the hook that runs every five minutes.
func (w *world) updateStatus(want string) {
	w.Helper()
	w.unit.UpdateStatus()
	w.idle(want)
}

// noFailedHook wants every hook so far to have succeeded.
func (w *world) noFailedHook() {
	w.Helper()
	for _, hook := range w.unit.Hooks() {
		if hook.Err != "" {
			w.Errorf("hook %s", hook)
		}
	}
}

// sh runs a script on the machine and returns what it printed.
func (w *world) sh(script string) string {
	w.Helper()
	cmd := w.machine.Command(w.ctx, "sh", "-ec", script)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			out = append(out, exit.Stderr...)
		}
		w.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// same wants a script to print exactly this.
func (w *world) same(script, want string) {
	w.Helper()
	if got := w.sh(script); got != want {
		w.Errorf("%s:\n%s\nwant:\n%s", script, got, want)
	}
}

// answers wants the registry to answer now.
func (w *world) answers(port int) {
	w.Helper()
	check(w.T, w.get(port))
}

// silent wants nothing to answer.
func (w *world) silent(port int) {
	w.Helper()
	if err := w.get(port); err == nil {
		w.Errorf("port %d answers", port)
	}
}

// comesBack waits until the registry answers, without any hook.
func (w *world) comesBack(port int) {
	w.Helper()
	for {
		err := w.get(port)
		if err == nil {
			return
		}
		select {
		case <-w.ctx.Done():
			w.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// restart shuts the machine down and boots it. The registry has to be back before Juju is.
func (w *world) restart(port int) {
	w.Helper()
	// systemd, which does not know the agent here, would wait long for it.
	w.unit.StopAgent()
	check(w.T, w.machine.Restart(w.ctx))
	w.comesBack(port)
	check(w.T, w.unit.StartAgent(w.ctx))
	w.idle("active: Ready at ")
}

func (w *world) get(port int) error {
	client := w.machine.HTTPClient()
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(w.ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/v2/", port), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
