package main

import (
	"time"

	"github.com/juju/juju/worker/common/charmrunner"
	"github.com/juju/juju/worker/uniter/runner"
	"github.com/juju/juju/worker/uniter/runner/context"

	"docker-registry-operator/tests/juju/wire"
)

// newRunner is a runner.NewRunnerFunc: Juju's own runner, with the model told of every hook.
func (c *connection) newRunner(
	ctx context.Context, paths context.Paths, remote runner.ExecFunc, options ...runner.Option,
) runner.Runner {
	inner := runner.NewRunner(&observedContext{Context: ctx, conn: c}, paths, remote, options...)
	return &observedRunner{Runner: inner, conn: c}
}

type observedRunner struct {
	runner.Runner
	conn *connection
}

// RunHook is part of runner.Runner.
func (r *observedRunner) RunHook(name string) (runner.HookHandlerType, error) {
	return r.observe("hooks/"+name, func() (runner.HookHandlerType, error) { return r.Runner.RunHook(name) })
}

// RunAction is part of runner.Runner.
func (r *observedRunner) RunAction(name string) (runner.HookHandlerType, error) {
	return r.observe("actions/"+name, func() (runner.HookHandlerType, error) { return r.Runner.RunAction(name) })
}

func (r *observedRunner) observe(path string, run func() (runner.HookHandlerType, error)) (runner.HookHandlerType, error) {
	if err := r.conn.report(wire.HookStarted, wire.HookStart{Path: path, Time: time.Now()}); err != nil {
		return runner.InvalidHookHandler, err
	}
	handler, err := run()
	end := wire.HookEnd{Time: time.Now(), Missing: charmrunner.IsMissingHookError(err)}
	if err != nil {
		end.Error = err.Error()
	}
	if reportErr := r.conn.report(wire.HookFinished, end); err == nil && reportErr != nil {
		return handler, reportErr
	}
	return handler, err
}

type observedContext struct {
	context.Context
	conn *connection
}

// SetProcess is part of context.Context.
func (c *observedContext) SetProcess(process context.HookProcess) {
	_ = c.conn.report(wire.HookProcess, wire.Process{PID: process.Pid()})
	c.Context.SetProcess(process)
}
