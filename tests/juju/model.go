// Package juju deploys a packed charm onto test machines under Juju's own unit agent and lets a test
// change the world around it: options, relations, leadership, actions, refreshes, removal. The agent
// and the hook tools are Juju's; the package supplies the controller's side, in memory. It leaves
// the machines to package machine and what a charm should do to its caller.
package juju

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"docker-registry-operator/tests/gobuild"
	"docker-registry-operator/tests/juju/wire"
	"docker-registry-operator/tests/machine"
)

// modelUUID is the identity of every model: no test sees two of them.
const modelUUID = "5f0d3c6e-6ea2-4f3a-8b4f-0d9a0f6a7c11"

// A Model holds applications and answers the agents of their units.
type Model struct {
	network *machine.Network
	server  *http.Server
	agent   string
	jujuc   string

	mu           sync.Mutex
	changed      chan struct{}
	config       map[string]any
	applications []*Application
	relations    []*Relation
	secrets      []*Secret
	lastRelation int
	lastAction   int
	watchers     map[string]*watcher
	lastWatcher  int
}

// NewModel makes an empty model that the machines of a network reach. The caller closes it, before
// the machines and the network.
func NewModel(ctx context.Context, network *machine.Network) (*Model, error) {
	m := &Model{
		network:      network,
		changed:      make(chan struct{}),
		lastRelation: -1,
		watchers:     make(map[string]*watcher),
		config:       map[string]any{"name": "test", "type": "manual", "uuid": modelUUID},
	}
	var err error
	if m.agent, err = gobuild.Program(ctx, "docker-registry-operator/tests/juju/unitagent"); err != nil {
		return nil, err
	}
	if m.jujuc, err = gobuild.Program(ctx, "github.com/juju/juju/cmd/jujuc"); err != nil {
		return nil, err
	}
	listener, err := network.Listen(ctx, "tcp", m.address())
	if err != nil {
		return nil, fmt.Errorf("cannot serve model: %w", err)
	}
	m.server = &http.Server{Handler: m.handler(), ReadHeaderTimeout: time.Minute}
	go func() { _ = m.server.Serve(listener) }()
	return m, nil
}

// address is where agents find the model.
func (m *Model) address() string { return net.JoinHostPort(machine.Hub, wire.Port) }

// Close kills the agents of every unit and stops answering.
func (m *Model) Close() error {
	m.mu.Lock()
	var units []*Unit
	for _, application := range m.applications {
		units = append(units, application.units...)
	}
	m.mu.Unlock()
	for _, unit := range units {
		unit.stopAgent(killSignal)
	}
	return m.server.Close()
}

// SetConfig changes the model's configuration, such as juju-http-proxy. A nil value unsets.
func (m *Model) SetConfig(values map[string]any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, value := range values {
		if value == nil {
			delete(m.config, name)
			continue
		}
		m.config[name] = value
	}
	m.touch()
}

// touch wakes all that wait for the model to change. The lock must be held.
func (m *Model) touch() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// await blocks until done, which is called under the lock whenever the model has changed, says so or
// fails.
func (m *Model) await(ctx context.Context, done func() (bool, error)) error {
	for {
		m.mu.Lock()
		ok, err := done()
		changed := m.changed
		m.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *Model) unit(name string) *Unit {
	for _, application := range m.applications {
		for _, unit := range application.units {
			if unit.name == name {
				return unit
			}
		}
	}
	return nil
}
