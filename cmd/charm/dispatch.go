package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"docker-registry-operator/actions"
	"docker-registry-operator/hooks"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/juju"
)

// dispatch runs what Juju asks for: `hooks/install`, `actions/push`.
func dispatch(ctx context.Context, event string) error {
	unit, err := juju.NewUnit(os.Getenv)
	if err != nil {
		return err
	}
	charm, err := wire(unit, desired.Layout{}, os.Getenv("JUJU_CHARM_DIR"), slog.New(juju.NewLog()))
	if err != nil {
		return err
	}
	defer charm.close()
	kind, name, _ := strings.Cut(event, "/")
	switch kind {
	case "hooks":
		return hooks.Run(ctx, name, charm.operator)
	case "actions":
		return actions.Run(ctx, juju.NewAction(name), charm.tools())
	}
	return fmt.Errorf("cannot dispatch %q: neither a hook nor an action", event)
}
