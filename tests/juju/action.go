package juju

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/juju/names/v5"
)

// An Action is the record of an action on a unit.
type Action struct {
	// Name is the action's name.
	Name string

	// Status is pending, running, completed, failed, aborting or aborted.
	Status string

	// Message is what action-fail said.
	Message string

	// Results are what action-set said, and return-code, stdout and stderr as Juju adds them.
	Results map[string]any

	// Log is what action-log said.
	Log []string

	id     string
	params map[string]any
}

func (a *Action) tag() string { return names.NewActionTag(a.id).String() }

// RunAction runs an action with its parameters' defaults and waits for its end. An action that fails
// is no error; one that the charm does not declare, or with parameters that it does not accept, is.
func (u *Unit) RunAction(ctx context.Context, name string, parameters map[string]any) (*Action, error) {
	action, err := u.enqueue(name, parameters)
	if err != nil {
		return nil, fmt.Errorf("cannot run action %s on %s: %w", name, u.name, err)
	}
	var result Action
	err = u.application.model.await(ctx, func() (bool, error) {
		result = *action
		return action.Status != "pending" && action.Status != "running", nil
	})
	if err != nil {
		return nil, u.explain("run action "+name+" on", err)
	}
	return &result, nil
}

func (u *Unit) enqueue(name string, parameters map[string]any) (*Action, error) {
	defer u.lock()()
	if parameters == nil {
		parameters = map[string]any{}
	}
	if name != "juju-exec" {
		declared := u.application.revision().archive.Actions()
		spec, ok := declared.ActionSpecs[name]
		if !ok {
			return nil, fmt.Errorf("the charm has no such action")
		}
		if err := spec.ValidateParams(parameters); err != nil {
			return nil, err
		}
		complete, err := spec.InsertDefaults(maps.Clone(parameters))
		if err != nil {
			return nil, err
		}
		parameters = complete
	}
	m := u.application.model
	m.lastAction++
	a := &Action{
		Name: name, Status: "pending", id: strconv.Itoa(m.lastAction), params: parameters,
		Results: map[string]any{},
	}
	u.actions = append(u.actions, a)
	m.touch()
	return a, nil
}

func (u *Unit) action(tag string) *Action {
	for _, a := range u.actions {
		if a.tag() == tag {
			return a
		}
	}
	return nil
}
