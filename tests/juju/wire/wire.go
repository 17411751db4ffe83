// Package wire names what a unit agent and the model say to each other beyond Juju's own facades:
// what the agent reports about the hooks that it runs, and what a test asks of it. It leaves the
// facades and their types to Juju.
package wire

import "time"

// Port is where the model listens, on the hub of the machines' network.
const Port = "17070"

// UnitHeader names the unit that a request comes from.
const UnitHeader = "X-Juju-Unit"

// Facade is the facade of what only the test's agent and model know of.
const Facade = "TestAgent"

// The requests of Facade.
const (
	// HookStarted tells of a HookStart: a hook or action is about to run.
	HookStarted = "HookStarted"
	// HookProcess tells of a Process: the hook's own process has started.
	HookProcess = "HookProcess"
	// HookFinished tells of a HookEnd.
	HookFinished = "HookFinished"
	// Log tells of one LogLine.
	Log = "Log"
	// UpdateStatus returns when the test asks for an update-status hook.
	UpdateStatus = "UpdateStatus"
)

// Exit codes of the agent that its keeper acts on.
const (
	// Terminated says that the unit is dead and its agent is to be removed.
	Terminated = 3
	// Reboot says that a hook asked for the machine to be restarted.
	Reboot = 4
)

// HookStart says that a hook is about to run.
type HookStart struct {
	// Path is the dispatch path, such as hooks/install or actions/push.
	Path string
	Time time.Time
}

// Process is the process of a running hook, by its number on the machine.
type Process struct{ PID int }

// HookEnd says how a hook ended. Error is empty where it succeeded; Missing says that the charm does
// not have the hook.
type HookEnd struct {
	Error   string
	Missing bool
	Time    time.Time
}

// LogLine is one line that the agent logged, for itself or for a hook.
type LogLine struct {
	Level, Module, Message string
}
