package juju

import (
	"context"
	"maps"
	"slices"

	"docker-registry-operator/internal/operator"
)

// Action is the action that the unit was asked to run.
type Action struct {
	name string
}

var _ operator.Action = (*Action)(nil)

// NewAction is the action of that name, which must be the one that runs now.
func NewAction(name string) *Action { return &Action{name: name} }

// Name is the action's name, as in actions.yaml.
func (a *Action) Name() string { return a.name }

// Params are the parameters given; the controller has filled in the defaults.
func (a *Action) Params(ctx context.Context) (map[string]any, error) {
	return ask(ctx, decodeValues, "action-get")
}

// Log shows a line of progress to whoever waits for the action.
func (a *Action) Log(ctx context.Context, line string) error {
	return tell(ctx, "action-log", "--", argument(line))
}

// Set adds results; keys are dotted lower-case paths. A value that is too long is
// cut and says so at its end.
func (a *Action) Set(ctx context.Context, results map[string]string) error {
	if len(results) == 0 {
		return nil
	}
	args := []string{"--"}
	for _, key := range slices.Sorted(maps.Keys(results)) {
		args = append(args, key+"="+argument(results[key]))
	}
	return tell(ctx, "action-set", args...)
}

// Fail ends the action as failed.
func (a *Action) Fail(ctx context.Context, message string) error {
	return tell(ctx, "action-fail", "--", argument(message))
}
