package juju

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"docker-registry-operator/tests/juju/wire"
)

// A Hook is the record of one hook or action that ran.
type Hook struct {
	// Name is the hook's name, such as install or website-relation-joined, or the action's.
	Name string

	// Action says that it was an action.
	Action bool

	// Tools are the hook tools that it called, in order.
	Tools []string

	// Log is what it logged with juju-log and printed.
	Log []LogLine

	Start    time.Time
	Duration time.Duration

	// Err says why it failed, and is empty where it did not.
	Err string

	// PID is the number of its process on the machine.
	PID int
}

// A LogLine is one line of a log. A hook's own lines have the module juju-log; what it printed on
// standard output and error has the hook's name, at level DEBUG and WARNING.
type LogLine = wire.LogLine

// String tells the hook in one line.
func (h *Hook) String() string {
	text := fmt.Sprintf("%s (%d tools, %s)", h.Name, len(h.Tools), h.Duration.Round(time.Millisecond))
	if h.Err != "" {
		text += " failed: " + h.Err
	}
	return text
}

// Hooks returns every hook and action that has ended, in order.
func (u *Unit) Hooks() []*Hook {
	defer u.lock()()
	return slices.Clone(u.hooks)
}

// Log returns what the agent and its hooks have logged.
func (u *Unit) Log() []LogLine {
	defer u.lock()()
	return slices.Clone(u.log)
}

// KillHook waits for a hook to start, or takes the one that runs, gives it the time, and kills it
// with all that it started. It returns the hook, and false if the hook was done before.
func (u *Unit) KillHook(ctx context.Context, after time.Duration) (*Hook, bool, error) {
	return u.killHook(ctx, func(*Hook) { time.Sleep(after) })
}

// KillHookAt is KillHook for a hook that has called that many hook tools.
func (u *Unit) KillHookAt(ctx context.Context, tools int) (*Hook, bool, error) {
	return u.killHook(ctx, func(hook *Hook) {
		for {
			unlock := u.lock()
			reached := u.running != hook || len(hook.Tools) >= tools
			unlock()
			if reached || ctx.Err() != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func (u *Unit) killHook(ctx context.Context, let func(*Hook)) (*Hook, bool, error) {
	var hook *Hook
	err := u.application.model.await(ctx, func() (bool, error) {
		hook = u.running
		return hook != nil && hook.PID != 0, nil
	})
	if err != nil {
		return nil, false, u.explain("kill hook of", err)
	}
	let(hook)
	unlock := u.lock()
	running := u.running == hook
	unlock()
	if running {
		u.killTree(hook.PID)
	}
	err = u.application.model.await(ctx, func() (bool, error) { return u.running != hook, nil })
	return hook, running, err
}

func (u *Unit) start(start wire.HookStart) {
	kind, name, _ := strings.Cut(start.Path, "/")
	u.running = &Hook{Name: name, Action: kind == "actions", Start: start.Time}
}

func (u *Unit) end(end wire.HookEnd) {
	switch {
	case u.running == nil:
	case end.Missing:
		u.updated()
		u.running = nil
	default:
		u.running.Err = end.Error
		u.finish(end.Time)
	}
}

// updated notes the end of the hook that runs.
func (u *Unit) updated() {
	if u.running.Name == "update-status" && u.updates == 0 {
		u.updating = false
	}
}

func (u *Unit) finish(at time.Time) {
	u.updated()
	u.running.Duration = at.Sub(u.running.Start)
	u.hooks = append(u.hooks, u.running)
	u.running = nil
}

// hear takes in a line that the agent logged.
func (u *Unit) hear(line LogLine) {
	u.log = append(u.log, line)
	if u.running == nil {
		return
	}
	if rest, ok := strings.CutPrefix(line.Message, `running hook tool "`); ok && line.Module == "jujuc" {
		tool, _, _ := strings.Cut(rest, `"`)
		u.running.Tools = append(u.running.Tools, tool)
		return
	}
	if module, ok := strings.CutPrefix(line.Module, "unit."+u.name+"."); ok {
		line.Module = module
		u.running.Log = append(u.running.Log, line)
	}
}

// WaitHook waits until a hook or action of that name is running.
func (u *Unit) WaitHook(ctx context.Context, name string) error {
	err := u.application.model.await(ctx, func() (bool, error) {
		return u.running != nil && u.running.Name == name && u.running.PID != 0, nil
	})
	return u.explain("wait for hook "+name+" of", err)
}
