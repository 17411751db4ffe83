package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/gobuild"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
)

const (
	deployments = 3
	idleHooks   = 20

	// deployLimit bounds a deployment, pollEvery how exactly its end is known.
	deployLimit = 2 * time.Minute
	pollEvery   = 5 * time.Millisecond
)

// measureUnit deploys a few times, and goes on with the last unit.
func measureUnit(ctx context.Context, charm, stock string) error {
	var times []time.Duration
	for run := range deployments {
		say("deployment %d of %d", run+1, deployments)
		s, took, err := deploy(ctx, charm)
		if err == nil && run == deployments-1 {
			err = s.measure(ctx, charm, stock, append(times, took))
		}
		if s != nil {
			err = errors.Join(err, s.close())
		}
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	return nil
}

func (s *site) measure(ctx context.Context, charm, stock string, deployed []time.Duration) error {
	hook, err := s.measureHooks(ctx)
	if err != nil {
		return err
	}
	costs := newTable("## Hooks", "what", "median", "least", "runs")
	costs.add("`install` to active and `/v2/` answering", seconds(median(deployed)), seconds(slices.Min(deployed)), fmt.Sprint(len(deployed)))
	runs := fmt.Sprint(idleHooks)
	costs.add("`update-status` that changes nothing: own processor time",
		milliseconds(median(hook.cpu)), milliseconds(slices.Min(hook.cpu)), runs)
	costs.add("the same: peak memory", mebibytes(median(hook.peak)), mebibytes(slices.Min(hook.peak)), runs)
	costs.add("the same: duration, most of it hook tools and the agent that answers them",
		milliseconds(median(hook.wall)), milliseconds(slices.Min(hook.wall)), runs)
	costs.add("the same: hook tool calls", fmt.Sprint(median(hook.tools)), fmt.Sprint(slices.Min(hook.tools)), runs)
	costs.print()
	return s.measureChanges(ctx, charm, stock)
}

// site is a unit with TLS and a password on a machine with an engine, and another machine beside it
// from which it is seen.
type site struct {
	network    *machine.Network
	home, away *machine.Machine
	model      *juju.Model
	app        *juju.Application
	unit       *juju.Unit
	authority  *authority.Authority
}

// deploy says how long it took from the install hook's start until the unit was active and answered.
// The site is to be closed, also after an error.
func deploy(ctx context.Context, charm string) (*site, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, deployLimit)
	defer cancel()
	s := &site{}
	if err := s.build(ctx); err != nil {
		return s, 0, err
	}
	config, err := s.authority.Options("registry.test")
	if err != nil {
		return s, 0, err
	}
	config["auth-basic-password"] = "first-password"
	if s.app, err = s.model.Deploy(ctx, charm, juju.Options{Config: config}, s.home); err != nil {
		return s, 0, err
	}
	s.unit = s.app.Units()[0]
	for s.unit.Status().Status != "active" || s.ask(ctx, 5000) != nil {
		if ctx.Err() != nil {
			return s, 0, fmt.Errorf("cannot deploy: %w; unit is %s", ctx.Err(), s.unit.Status())
		}
		time.Sleep(pollEvery)
	}
	end := time.Now()
	if err := s.app.WaitIdle(ctx); err != nil {
		return s, 0, err
	}
	return s, end.Sub(s.unit.Hooks()[0].Start), nil
}

func (s *site) build(ctx context.Context) error {
	var err error
	if s.network, err = machine.NewNetwork(); err != nil {
		return err
	}
	if s.home, err = machine.New(ctx, machine.Options{Engine: true, Network: s.network}); err != nil {
		return err
	}
	if s.away, err = machine.New(ctx, machine.Options{Name: "clients", Network: s.network}); err != nil {
		return err
	}
	if s.model, err = juju.NewModel(ctx, s.network); err != nil {
		return err
	}
	s.authority, err = authority.New()
	return err
}

func (s *site) close() error {
	var errs []error
	if s.model != nil {
		errs = append(errs, s.model.Close())
	}
	for _, m := range []*machine.Machine{s.home, s.away} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	if s.network != nil {
		errs = append(errs, s.network.Close())
	}
	return errors.Join(errs...)
}

// ask sends GET /v2/ over a connection of its own. The answer that a password is wanted is one.
func (s *site) ask(ctx context.Context, port int) error {
	transport := s.transport(port)
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://registry.test/v2/", nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("registry answers %s", response.Status)
	}
	return nil
}

// idleCosts are what each of several hooks cost.
type idleCosts struct {
	cpu, wall   []time.Duration
	peak, tools []int
}

// measureHooks has hooks run that change nothing.
func (s *site) measureHooks(ctx context.Context) (idleCosts, error) {
	say("hooks that change nothing")
	if err := s.insertMeasure(ctx); err != nil {
		return idleCosts{}, err
	}
	var costs idleCosts
	before := len(s.unit.Hooks())
	for range idleHooks {
		s.unit.UpdateStatus()
		if err := s.app.WaitIdle(ctx); err != nil {
			return idleCosts{}, err
		}
	}
	for _, hook := range s.unit.Hooks()[before:] {
		costs.tools = append(costs.tools, len(hook.Tools))
	}
	lines, err := s.home.ReadFile("/var/lib/hook-costs")
	if err != nil {
		return idleCosts{}, err
	}
	for line := range bytes.Lines(lines) {
		var cost struct {
			CPU, Wall time.Duration
			Peak      int
		}
		if err := json.Unmarshal(line, &cost); err != nil {
			return idleCosts{}, fmt.Errorf("cannot read what a hook cost: %w", err)
		}
		costs.cpu = append(costs.cpu, cost.CPU)
		costs.wall = append(costs.wall, cost.Wall)
		costs.peak = append(costs.peak, cost.Peak)
	}
	if len(costs.cpu) < idleHooks {
		return idleCosts{}, fmt.Errorf("cannot measure hooks: only %d of %d ran", len(costs.cpu), idleHooks)
	}
	return costs, nil
}

// insertMeasure puts the program of package measure in front of the unit's dispatch.
func (s *site) insertMeasure(ctx context.Context) error {
	program, err := gobuild.Program(ctx, "docker-registry-operator/tests/bench/measure")
	if err != nil {
		return err
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	dispatch := s.unit.CharmDir() + "/dispatch"
	if err := os.Rename(s.home.Path(dispatch), s.home.Path(s.unit.CharmDir()+"/measured")); err != nil {
		return err
	}
	return s.home.WriteFile(dispatch, content, 0o755)
}

func (s *site) dialer(port int) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return s.away.Dial(ctx, "tcp", net.JoinHostPort(s.home.Address(), fmt.Sprint(port)))
	}
}
