package juju

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/juju/names/v5"

	"docker-registry-operator/tests/machine"
)

// settle is how long an agent must have asked nothing of the model before it counts as idle. Between
// learning of a change and acting on it the agent does not speak for a few milliseconds.
const settle = 250 * time.Millisecond

// settleUpdate is the same for one that was told that update-status is due. It drops that without a
// word where something else has come in between.
const settleUpdate = 3 * time.Second

// A Unit is one unit of an application, on a machine of its own.
type Unit struct {
	application *Application
	machine     *machine.Machine
	number      int
	name        string

	// All below is under the model's lock.
	life        life
	charmURL    string
	unitStatus  Status
	agentStatus Status
	workload    string
	state       unitState
	ports       map[openPort]bool
	inScope     map[int]bool
	consumes    map[string]*Secret // by the URI with which the unit asked
	storage     []*storageInstance
	actions     []*Action
	hooks       []*Hook
	running     *Hook
	log         []LogLine
	leads       bool
	asked       time.Time
	updates     int
	updating    bool // from when an update-status hook is made due until one has ended
	agent       *agent
	gone        bool
}

// A Status is what juju status shows of a unit, an agent or an application.
type Status struct {
	Status, Message string
}

// String returns the status as juju status shows it.
func (s Status) String() string { return strings.TrimSuffix(s.Status+": "+s.Message, ": ") }

type openPort struct {
	endpoint, protocol string
	from, to           int
}

type storageInstance struct {
	id, name, location string
	life               life
}

// Name returns the unit's name, such as docker-registry/0.
func (u *Unit) Name() string { return u.name }

// Machine returns the machine that the unit is on.
func (u *Unit) Machine() *machine.Machine { return u.machine }

// Application returns the application that the unit belongs to.
func (u *Unit) Application() *Application { return u.application }

// CharmDir returns where the unit's charm is deployed on its machine.
func (u *Unit) CharmDir() string { return u.agentDir() + "/charm" }

func (u *Unit) agentDir() string { return "/var/lib/juju/agents/" + u.tag().String() }
func (u *Unit) toolsDir() string { return "/var/lib/juju/tools/" + u.tag().String() }

func (u *Unit) tag() names.UnitTag { return names.NewUnitTag(u.name) }

// Status returns the status that the charm has set.
func (u *Unit) Status() Status {
	defer u.lock()()
	return u.unitStatus
}

// AgentStatus returns the agent's status: allocating, executing, idle, or error with the hook.
func (u *Unit) AgentStatus() Status {
	defer u.lock()()
	return u.agentStatus
}

// WorkloadVersion returns what the charm has set with application-version-set.
func (u *Unit) WorkloadVersion() string {
	defer u.lock()()
	return u.workload
}

// OpenedPorts returns the opened ports, such as 5000/tcp or 6000-6010/udp, sorted.
func (u *Unit) OpenedPorts() []string {
	defer u.lock()()
	var ports []string
	for port := range u.ports {
		text := fmt.Sprintf("%d/%s", port.from, port.protocol)
		if port.to != port.from {
			text = fmt.Sprintf("%d-%d/%s", port.from, port.to, port.protocol)
		}
		if port.endpoint != "" {
			text = port.endpoint + ":" + text
		}
		ports = append(ports, text)
	}
	slices.Sort(ports)
	return ports
}

// CharmState returns what the charm has kept with state-set.
func (u *Unit) CharmState() map[string]string {
	defer u.lock()()
	return maps.Clone(u.state.charm)
}

func (u *Unit) lock() (unlock func()) {
	u.application.model.mu.Lock()
	return u.application.model.mu.Unlock
}

// UpdateStatus makes the next update-status hook due.
func (u *Unit) UpdateStatus() {
	defer u.lock()()
	u.updates++
	u.updating = true
	u.application.model.touch()
}

// AddStorage attaches an instance of the named storage, at a path that exists on the machine, and
// returns its identity, such as data/0.
func (u *Unit) AddStorage(name, location string) string {
	defer u.lock()()
	id := u.addStorage(name, location)
	u.application.model.touch()
	return id
}

func (u *Unit) addStorage(name, location string) string {
	s := &storageInstance{name: name, location: location, life: alive}
	s.id = fmt.Sprintf("%s/%d", name, u.number*10+len(u.storage))
	u.storage = append(u.storage, s)
	return s.id
}

// DetachStorage begins to take a storage instance away.
func (u *Unit) DetachStorage(id string) {
	defer u.lock()()
	for _, s := range u.storage {
		if s.id == id {
			s.life = dying
		}
	}
	u.application.model.touch()
}

// Remove begins to remove the unit; see WaitGone.
func (u *Unit) Remove() {
	defer u.lock()()
	u.life = dying
	for _, s := range u.storage {
		s.life = dying
	}
	u.application.model.touch()
}

// WaitGone waits until the unit has been removed and its agent's files are off the machine.
func (u *Unit) WaitGone(ctx context.Context) error {
	err := u.application.model.await(ctx, func() (bool, error) { return u.gone, nil })
	return u.explain("wait for the end of", err)
}

// Wait waits until the unit's status is as wanted, whatever else goes on.
func (u *Unit) Wait(ctx context.Context, wanted func(unit, agent Status) bool) error {
	err := u.application.model.await(ctx, func() (bool, error) { return wanted(u.unitStatus, u.agentStatus), nil })
	return u.explain("wait for status of", err)
}

// WaitIdle waits until the agent has acted on every change and has nothing left to do. It fails when
// ctx ends before, and at once when the agent has died.
func (u *Unit) WaitIdle(ctx context.Context) error {
	for {
		unlock := u.lock()
		idle, agent := u.idle(), u.agent
		unlock()
		if idle {
			return nil
		}
		if agent == nil {
			return u.explain("wait for", errors.New("its agent is not running"))
		}
		select {
		case <-ctx.Done():
			return u.explain("wait for", ctx.Err())
		case <-time.After(settle / 10):
		}
	}
}

func (u *Unit) idle() bool {
	quiet := time.Since(u.asked)
	if u.agent == nil || u.agentStatus.Status != "idle" || u.running != nil || u.updates > 0 ||
		u.life != alive || u.leads != (u.application.leader == u.name) {
		return false
	}
	if quiet < settle || u.updating && quiet < settleUpdate {
		return false
	}
	watchers := 0
	for _, w := range u.application.model.watchers {
		if w.unit == u {
			watchers++
			if !w.quiet() {
				return false
			}
		}
	}
	return watchers > 0
}

// explain adds to an error what a reader of a failed test looks for.
func (u *Unit) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	defer u.lock()()
	text := fmt.Sprintf("agent %s, unit %s", u.agentStatus, u.unitStatus)
	if last := len(u.hooks); last > 0 {
		text += ", last hook " + u.hooks[last-1].String()
	}
	var log strings.Builder
	for _, line := range u.log[max(0, len(u.log)-30):] {
		fmt.Fprintf(&log, "\n\t%s %s %s", line.Level, line.Module, line.Message)
	}
	return fmt.Errorf("cannot %s %s: %w (%s)%s", what, u.name, err, text, log.String())
}

// Reboot restarts the unit's machine as a power failure would, and its engine and agent with it.
func (u *Unit) Reboot(ctx context.Context) error {
	u.stopAgent(killSignal)
	if err := u.machine.Reboot(ctx); err != nil {
		return err
	}
	return u.StartAgent(ctx)
}

// Run runs a shell script in a hook's context, as juju exec does, and returns what it printed.
func (u *Unit) Run(ctx context.Context, script string) (*Action, error) {
	return u.RunAction(ctx, "juju-exec", map[string]any{"command": script, "timeout": float64(0)})
}
