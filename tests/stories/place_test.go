package stories

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
)

// patience bounds each test of this package that is no script. An idle machine needs a fraction.
const patience = 3 * time.Minute

// A place is one unit of the charm, alone in its model, on a machine with an engine.
type place struct {
	t       *testing.T
	ctx     context.Context
	machine *machine.Machine
	model   *juju.Model
	app     *juju.Application
	unit    *juju.Unit
}

// newPlace makes the machine and no unit yet.
func newPlace(t *testing.T) *place {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	p := &place{t: t, ctx: ctx}
	m, err := machine.New(ctx, machine.Options{Engine: true})
	p.must(err)
	t.Cleanup(func() { p.must(m.Close()) })
	p.machine = m
	return p
}

// deploy deploys the charm and does not wait.
func (p *place) deploy(config map[string]string) {
	p.t.Helper()
	model, err := juju.NewModel(p.ctx, p.machine.Network())
	p.must(err)
	p.t.Cleanup(func() { p.must(model.Close()) })
	p.model = model
	path, err := charm()
	p.must(err)
	p.app, err = model.Deploy(p.ctx, path, juju.Options{Config: config}, p.machine)
	p.must(err)
	p.unit = p.app.Units()[0]
}

// deployed is a place whose unit is ready.
func deployed(t *testing.T, config map[string]string) *place {
	t.Helper()
	p := newPlace(t)
	p.deploy(config)
	p.settle()
	p.wantStatus("active: Ready at " + p.machine.Address() + ":5000 (http).")
	return p
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// settle waits until the unit has nothing left to do.
func (p *place) settle() {
	p.t.Helper()
	p.must(p.app.WaitIdle(p.ctx))
}

// drain waits until a registry that another one replaced has finished what it had. A later hook
// removes it.
func (p *place) drain() {
	p.t.Helper()
	for range 300 {
		running := 0
		for _, c := range p.containers() {
			if c.State.Status == "running" {
				running++
			}
		}
		if running <= 1 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.t.Fatalf("registries that were replaced go on running: %v", p.containers())
}

func (p *place) set(config map[string]string) {
	p.t.Helper()
	p.must(p.app.SetConfig(config))
}

// update has update-status run.
func (p *place) update() {
	p.t.Helper()
	p.unit.UpdateStatus()
	p.settle()
}

func (p *place) wantStatus(want string) {
	p.t.Helper()
	if got := p.unit.Status().String(); got != want {
		p.t.Errorf("status:\n got %s\nwant %s", got, want)
	}
}

// noFailure wants every hook since the first n to have succeeded.
func (p *place) noFailure(n int) {
	p.t.Helper()
	for _, hook := range p.unit.Hooks()[n:] {
		if hook.Err != "" {
			p.t.Errorf("%s\n%v", hook, hook.Log)
		}
	}
}

// on runs a shell script on the machine and returns what it prints.
func (p *place) on(script string) string {
	p.t.Helper()
	out, err := p.machine.Command(p.ctx, "sh", "-c", script).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// A container is what the engine says of one of the unit's containers.
type container struct {
	ID, Name string
	State    struct {
		Status, StartedAt string
	}
	Config struct {
		User   string
		Image  string
		Labels map[string]string
	}
	HostConfig struct {
		CapAdd []string
	}
}

// containers are the containers of units of this charm, running or not.
func (p *place) containers() []container {
	p.t.Helper()
	var list []struct{ ID string }
	filter := url.QueryEscape(`{"label":["docker-registry.unit"]}`)
	p.ask("/containers/json?all=1&filters="+filter, &list)
	found := make([]container, len(list))
	for i, c := range list {
		p.ask("/containers/"+c.ID+"/json", &found[i])
	}
	return found
}

// container is the only container of the unit.
func (p *place) container() container {
	p.t.Helper()
	all := p.containers()
	if len(all) != 1 {
		p.t.Fatalf("%d containers, want one: %v", len(all), all)
	}
	return all[0]
}

// ask asks the machine's engine.
func (p *place) ask(path string, v any) {
	p.t.Helper()
	client := p.machine.EngineClient()
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://engine" + path)
	p.must(err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	p.must(err)
	if resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s: %s", path, resp.Status, body)
	}
	if text, ok := v.(*string); ok {
		*text = string(body)
		return
	}
	p.must(json.Unmarshal(body, v))
}

// serves wants the registry to answer at a port, with or without asking who is there.
func (p *place) serves(port int) {
	p.t.Helper()
	if err := p.probe(port); err != nil {
		p.t.Errorf("registry at port %d: %v", port, err)
	}
}

func (p *place) probe(port int) error {
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/v2/", port), nil)
	if err != nil {
		return err
	}
	client := p.machine.HTTPClient()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

// A witness asks the registry again and again, over a connection of its own each time.
type witness struct {
	stop chan struct{}
	done chan struct{}
	good int
	bad  []string
}

// watch starts a witness, which ends with the test at the latest.
func (p *place) watch(port int) *witness {
	w := &witness{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for {
			select {
			case <-w.stop:
				return
			case <-p.ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			if err := p.probe(port); err == nil {
				w.good++
			} else if p.ctx.Err() == nil {
				w.bad = append(w.bad, time.Now().Format("15:04:05.000 ")+err.Error())
			}
		}
	}()
	return w
}

// wantConstant ends the witness, who must never have gone without an answer.
func (p *place) wantConstant(w *witness) {
	p.t.Helper()
	close(w.stop)
	<-w.done
	if len(w.bad) > 0 || w.good == 0 {
		p.t.Errorf("%d requests were answered and %d not: %v", w.good, len(w.bad), w.bad)
	}
	p.t.Logf("%d requests answered", w.good)
}
