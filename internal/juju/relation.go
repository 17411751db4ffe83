package juju

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"docker-registry-operator/internal/relation"
)

// Relations are the unit's relations at an endpoint by their IDs, as far as parts says:
// a call for the IDs, which are asked for once, and those that [relation.Parts] tells.
// In the hook of a relation that is broken it is no longer among them.
func (u *Unit) Relations(ctx context.Context, endpoint string, parts relation.Parts) ([]relation.Relation, error) {
	ids, err := u.relationIDs(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	var relations []relation.Relation
	for _, id := range ids {
		found, err := u.relation(ctx, id, parts)
		if err != nil {
			return nil, err
		}
		relations = append(relations, found)
	}
	return relations, nil
}

// Publish changes what the unit tells over a relation; an empty value removes a key.
func (u *Unit) Publish(ctx context.Context, id string, settings map[string]string) error {
	return tellSettings(ctx, settings, "relation-set", "-r", id)
}

// PublishApp changes what the unit's application tells over a relation; only the leader
// may. An empty value removes a key.
func (u *Unit) PublishApp(ctx context.Context, id string, settings map[string]string) error {
	return tellSettings(ctx, settings, "relation-set", "-r", id, "--app")
}

func (u *Unit) relation(ctx context.Context, id string, parts relation.Parts) (relation.Relation, error) {
	found := relation.Relation{ID: id, Units: map[string]relation.Bag{}}
	var err error
	if parts.Own {
		if found.Own, err = bag(ctx, id, u.Name()); err != nil {
			return found, err
		}
	}
	if parts.OwnApp {
		if found.OwnApp, err = bag(ctx, id, u.application(), "--app"); err != nil {
			return found, err
		}
	}
	units, err := u.remoteUnits(ctx, id, parts)
	if err != nil {
		return found, err
	}
	for _, unit := range units {
		if found.Units[unit], err = bag(ctx, id, unit); err != nil {
			return found, err
		}
	}
	if !parts.App {
		return found, nil
	}
	if len(units) > 0 {
		found.Application, _, _ = strings.Cut(units[0], "/")
	} else if found.Application, err = ask(ctx, decode[string], "relation-list", "-r", id, "--app"); err != nil {
		return found, err
	}
	found.App, err = bag(ctx, id, found.Application, "--app")
	return found, err
}

// remoteUnits are the units whose bags are to be read, by their numbers.
func (u *Unit) remoteUnits(ctx context.Context, id string, parts relation.Parts) ([]string, error) {
	if parts.Event && u.getenv("JUJU_RELATION_ID") == id {
		departing := u.getenv("JUJU_DEPARTING_UNIT")
		if unit := u.getenv("JUJU_REMOTE_UNIT"); unit != "" && unit != departing {
			return []string{unit}, nil
		}
	}
	if !parts.Units {
		return nil, nil
	}
	units, err := ask(ctx, decode[[]string], "relation-list", "-r", id)
	slices.SortFunc(units, relation.ByNumber)
	return units, err
}

// bag is what one unit or, with --app, one application tells.
func bag(ctx context.Context, id, whose string, flags ...string) (relation.Bag, error) {
	return ask(ctx, decode[relation.Bag], "relation-get", append(append([]string{"-r", id}, flags...), "-", whose)...)
}

// broken is the ID of the relation that the hook sees the end of, "" if it is about
// something else. Juju still lists it, unless the agent was started after the relation
// began to die.
func (u *Unit) broken() string {
	if !strings.HasSuffix(u.getenv("JUJU_DISPATCH_PATH"), "-relation-broken") {
		return ""
	}
	return u.getenv("JUJU_RELATION_ID")
}

// relationIDs are the IDs of the relations at an endpoint, ascending, as Juju numbers
// them.
func (u *Unit) relationIDs(ctx context.Context, endpoint string) ([]string, error) {
	if ids, asked := u.ids[endpoint]; asked {
		return ids, nil
	}
	ids, err := ask(ctx, decode[[]string], "relation-ids", endpoint)
	if err != nil {
		return nil, err
	}
	if err := sortIDs(ids); err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == u.broken() })
	u.ids[endpoint] = ids
	return ids, nil
}

func sortIDs(ids []string) error {
	numbers := make(map[string]int, len(ids))
	for _, id := range ids {
		_, text, _ := strings.Cut(id, ":")
		number, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("cannot read the answer of relation-ids: %q is not the ID of a relation", id)
		}
		numbers[id] = number
	}
	slices.SortFunc(ids, func(a, b string) int { return numbers[a] - numbers[b] })
	return nil
}
