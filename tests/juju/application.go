package juju

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"docker-registry-operator/tests/machine"
)

// An Application is a deployed charm with one unit on each of its machines.
type Application struct {
	model *Model
	name  string

	// All below is under the model's lock.
	revisions       []*revision
	modified        int
	status          Status
	leader          string
	leaderSettings  map[string]string
	leaderRevisions int
	units           []*Unit
}

// Options say how to deploy.
type Options struct {
	// Name is the application's, the charm's unless set.
	Name string

	// Config holds options that differ from their defaults, as the operator types them.
	Config map[string]string

	// Storage gives each unit an instance of the named storage at a path that exists on its machine.
	Storage map[string]string
}

// Deploy deploys the packed charm at path with one unit on each machine. The first unit leads.
func (m *Model) Deploy(ctx context.Context, path string, options Options, machines ...*machine.Machine) (*Application, error) {
	first, err := readRevision(path, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot deploy: %w", err)
	}
	if options.Name == "" {
		options.Name = first.archive.Meta().Name
	}
	a := &Application{
		model: m, name: options.Name, revisions: []*revision{first}, leaderSettings: map[string]string{},
		status: Status{Status: "unknown"},
	}
	config, err := first.archive.Config().ParseSettingsStrings(options.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot deploy %s: %w", a.name, err)
	}
	maps.Copy(first.config, config)
	m.mu.Lock()
	m.applications = append(m.applications, a)
	a.addPeers()
	m.touch()
	m.mu.Unlock()
	for _, machine := range machines {
		if _, err := a.AddUnit(ctx, machine, options.Storage); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// addPeers makes the peer relations of the current revision that are not there yet.
func (a *Application) addPeers() {
	peers := a.revision().archive.Meta().Peers
	for _, endpoint := range slices.Sorted(maps.Keys(peers)) {
		if a.relation(endpoint) == nil {
			a.model.addRelation(a, peers[endpoint], a.name)
		}
	}
}

// AddUnit adds a unit on a machine of its own and starts its agent.
func (a *Application) AddUnit(ctx context.Context, on *machine.Machine, storage map[string]string) (*Unit, error) {
	a.model.mu.Lock()
	number := 0
	if last := len(a.units); last > 0 {
		number = a.units[last-1].number + 1
	}
	u := &Unit{
		application: a, machine: on, number: number, name: a.name + "/" + strconv.Itoa(number),
		life: alive, ports: map[openPort]bool{}, inScope: map[int]bool{},
		consumes:    map[string]*Secret{},
		unitStatus:  Status{Status: "waiting", Message: "installing agent"},
		agentStatus: Status{Status: "allocating"},
	}
	for _, name := range slices.Sorted(maps.Keys(storage)) {
		u.addStorage(name, storage[name])
	}
	if a.leader == "" {
		a.leader = u.name
	}
	a.units = append(a.units, u)
	a.model.touch()
	a.model.mu.Unlock()
	return u, u.StartAgent(ctx)
}

// Name returns the application's name.
func (a *Application) Name() string { return a.name }

// Units returns the units that are not yet gone, by number.
func (a *Application) Units() []*Unit {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	return slices.Clone(a.units)
}

// SetConfig sets options as the operator types them. As in Juju, an option that is unknown or whose
// value has the wrong type is refused, and nothing is set.
func (a *Application) SetConfig(values map[string]string) error {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	parsed, err := a.revision().archive.Config().ParseSettingsStrings(values)
	if err != nil {
		return fmt.Errorf("cannot configure %s: %w", a.name, err)
	}
	maps.Copy(a.revision().config, parsed)
	a.model.touch()
	return nil
}

// ResetConfig gives options their defaults again.
func (a *Application) ResetConfig(names ...string) error {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	for _, name := range names {
		if _, ok := a.revision().archive.Config().Options[name]; !ok {
			return fmt.Errorf("cannot reset %s: unknown option %q", a.name, name)
		}
		delete(a.revision().config, name)
	}
	a.model.touch()
	return nil
}

// Refresh replaces the charm. As in Juju, options that have vanished or changed type are dropped
// without a word.
func (a *Application) Refresh(path string) error {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	next, err := readRevision(path, len(a.revisions))
	if err != nil {
		return fmt.Errorf("cannot refresh %s: %w", a.name, err)
	}
	if err := next.mayReplace(a.revision(), a.relationsOf(), a.units); err != nil {
		return fmt.Errorf("cannot refresh %s: %w", a.name, err)
	}
	maps.Copy(next.config, next.archive.Config().FilterSettings(a.revision().config))
	a.revisions = append(a.revisions, next)
	a.modified++
	a.addPeers()
	a.model.touch()
	return nil
}

// Leader returns the unit that leads, or nil.
func (a *Application) Leader() *Unit {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	return a.model.unit(a.leader)
}

// SetLeader moves leadership to the unit, which learns of it within a second.
func (a *Application) SetLeader(u *Unit) {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	a.leader = u.name
	a.model.touch()
}

// LeaderSettings returns what leader-get sees.
func (a *Application) LeaderSettings() map[string]string {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	return maps.Clone(a.leaderSettings)
}

// SetLeaderSettings sets leader settings, as a leader of an earlier charm would have. An empty value
// removes.
func (a *Application) SetLeaderSettings(values map[string]string) {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	a.mergeLeaderSettings(values)
}

func (a *Application) mergeLeaderSettings(values map[string]string) {
	if mergeSettings(a.leaderSettings, values) {
		a.leaderRevisions++
		a.model.touch()
	}
}

// Status returns the status that the leader has set for the application.
func (a *Application) Status() Status {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	return a.status
}

// WaitIdle waits until every unit is idle at the same time; see Unit.WaitIdle. What one unit does last
// may be news for another.
func (a *Application) WaitIdle(ctx context.Context) error {
	for {
		for _, unit := range a.Units() {
			if err := unit.WaitIdle(ctx); err != nil {
				return err
			}
		}
		if a.idle() {
			return nil
		}
	}
}

func (a *Application) idle() bool {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	return !slices.ContainsFunc(a.units, func(u *Unit) bool { return !u.idle() })
}

func (a *Application) revision() *revision { return a.revisions[len(a.revisions)-1] }

// mergeSettings puts values into settings, where an empty one removes, and says whether that changed
// anything.
func mergeSettings(settings, values map[string]string) bool {
	before := maps.Clone(settings)
	for key, value := range values {
		if value == "" {
			delete(settings, key)
			continue
		}
		settings[key] = value
	}
	return !maps.Equal(before, settings)
}

// drop forgets a unit that is gone: it leaves the relations that it was still in, which are those
// with its peers, and leadership goes to another.
func (a *Application) drop(u *Unit) {
	for _, r := range a.relationsOf() {
		delete(u.inScope, r.id)
		r.bag(u.name).inScope = false
		r.removeIfLeft()
	}
	a.units = slices.DeleteFunc(a.units, func(other *Unit) bool { return other == u })
	if a.leader == u.name {
		a.leader = ""
		for _, other := range a.units {
			if other.life == alive {
				a.leader = other.name
				break
			}
		}
	}
	a.model.touch()
}
