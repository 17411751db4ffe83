// Package actions holds the charm's actions, one file each, and their list. What
// they change on the unit they leave to package operator.
package actions

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/operator"
)

// Unit is what actions ask of the unit.
type Unit interface {
	// Access says how to reach the unit's registry. It is an error if the registry is
	// not ready, which says why.
	Access(ctx context.Context) (operator.Access, error)
	// Pause stops the registry until Resume, and removes its container if asked to.
	Pause(ctx context.Context, remove bool) error
	// Resume starts the registry again.
	Resume(ctx context.Context) error
	// ForgetStorage has the status tell no more of images in storage that the registry
	// served from before. They are left alone.
	ForgetStorage(ctx context.Context) error
	// Workload is the name of the registry's container or service.
	Workload(ctx context.Context) (string, error)
}

// Engine is the host's Docker Engine as actions use it. Progress is one line each.
type Engine interface {
	Pull(ctx context.Context, ref string, progress func(string)) error
	Tag(ctx context.Context, ref, tag string) error
	Push(ctx context.Context, ref, user string, password config.Secret, progress func(string)) error
}

// Tools are what actions work with.
type Tools struct {
	Unit   Unit
	Engine Engine
	// Command runs a program of the host and gives its standard output; its error
	// holds what the program said on standard error.
	Command func(ctx context.Context, name string, args ...string) (string, error)
}

// results are an action's results; keys are dotted lower-case paths.
type results map[string]string

type action func(ctx context.Context, call call) (results, error)

// call is one run of an action.
type call struct {
	Tools
	params   params
	progress func(string)
}

func table() map[string]action {
	return map[string]action{
		"forget-storage": forgetStorage,
		"images":         images,
		"push":           push,
		"rmi":            rmi,
		"start":          start,
		"stop":           stop,
	}
}

// Names are the names of all actions, sorted.
func Names() []string {
	return slices.Sorted(maps.Keys(table()))
}

// Run runs the action that the unit was asked for. What goes wrong in it fails the
// action; an error means that Juju could not be told.
func Run(ctx context.Context, asked operator.Action, tools Tools) error {
	run, ok := table()[asked.Name()]
	if !ok {
		return fmt.Errorf("cannot run action %q: the charm has no such action", asked.Name())
	}
	values, err := asked.Params(ctx)
	if err != nil {
		return err
	}
	var lost error
	progress := func(line string) {
		if err := asked.Log(ctx, line); err != nil {
			lost = err
		}
	}
	done, err := run(ctx, call{Tools: tools, params: params(values), progress: progress})
	if err != nil {
		return asked.Fail(ctx, err.Error())
	}
	if lost != nil {
		return lost
	}
	return asked.Set(ctx, done)
}
