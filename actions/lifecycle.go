package actions

import (
	"context"
	"fmt"
)

func success() results { return results{"outcome": "success"} }

// start starts the registry after action stop.
func start(ctx context.Context, call call) (results, error) {
	if err := call.ownName(ctx); err != nil {
		return nil, err
	}
	if err := call.Unit.Resume(ctx); err != nil {
		return nil, err
	}
	return success(), nil
}

// stop stops the registry until action start, whatever hooks run in between.
func stop(ctx context.Context, call call) (results, error) {
	remove, err := call.params.claim("remove", false)
	if err != nil {
		return nil, err
	}
	if err := call.ownName(ctx); err != nil {
		return nil, err
	}
	if err := call.Unit.Pause(ctx, remove); err != nil {
		return nil, err
	}
	return success(), nil
}

// ownName refuses a name that is not the unit's own registry.
func (c call) ownName(ctx context.Context) error {
	name, err := c.params.text("name")
	if err != nil {
		return err
	}
	own, err := c.Unit.Workload(ctx)
	if err != nil {
		return err
	}
	if name != "" && name != own {
		return fmt.Errorf("parameter %q: %q is not this unit's registry; leave it out or type name=%s", "name", name, own)
	}
	return nil
}
