package juju

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	corelife "github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
)

// relationCalls are about relations: which there are, who is in them, what they tell.
func relationCalls() map[string]facadeCall {
	return map[string]facadeCall{
		"Uniter.WatchUnitRelations": each(func(c *call) (any, error) {
			u := c.unit
			return c.model.watchStrings(u, func() snapshot {
				seen := snapshot{}
				for _, r := range u.application.relationsOf() {
					seen[r.key] = string(r.life)
				}
				return seen
			}), nil
		}),
		"Uniter.RelationsStatus": each(relationsStatus),
		"Uniter.Relation": each(func(c *call) (any, error) {
			args, err := read[params.RelationUnit](c)
			if err != nil {
				return nil, err
			}
			return c.unit.application.describe(func(r *Relation) bool { return tagOf(r) == args.Relation })
		}),
		"Uniter.RelationById": func(c *call) (any, error) {
			args, err := read[params.RelationIds](c)
			if err != nil || len(args.RelationIds) != 1 {
				return nil, fmt.Errorf("cannot find relation: %w", err)
			}
			result, err := c.unit.application.describe(func(r *Relation) bool { return r.id == args.RelationIds[0] })
			if err != nil {
				result.Error = refusal(err)
			}
			return params.RelationResultsV2{Results: []params.RelationResultV2{result}}, nil
		},
		"Uniter.SetRelationStatus": each(always(nil)),
		"Uniter.EnterScope":        each(enterScope),
		"Uniter.LeaveScope":        each(leaveScope),
		"Uniter.ReadSettings": each(func(c *call) (any, error) {
			return c.databag(func(args params.RelationUnit) string { return c.unit.name })
		}),
		"Uniter.ReadLocalApplicationSettings": func(c *call) (any, error) {
			return c.databag(func(params.RelationUnit) string { return c.unit.application.name })
		},
		"Uniter.ReadRemoteSettings":  each(readRemote),
		"Uniter.WatchRelationUnits":  each(watchRelationUnits),
		"RelationUnitsWatcher.Stop":  stopWatcher,
		"NotifyWatcher.Stop":         stopWatcher,
		"StringsWatcher.Stop":        stopWatcher,
		"SecretsTriggerWatcher.Stop": stopWatcher,
	}
}

func stopWatcher(c *call) (any, error) {
	c.model.stopWatcher(c.id)
	return nil, nil
}

func tagOf(r *Relation) string { return names.NewRelationTag(r.key).String() }

func (a *Application) relationsOf() []*Relation {
	var relations []*Relation
	for _, r := range a.model.relations {
		if r.application == a {
			relations = append(relations, r)
		}
	}
	return relations
}

func (a *Application) tagged(tag string) (*Relation, error) {
	for _, r := range a.relationsOf() {
		if tagOf(r) == tag {
			return r, nil
		}
	}
	return nil, errNotFound
}

func (a *Application) describe(wanted func(*Relation) bool) (params.RelationResultV2, error) {
	for _, r := range a.relationsOf() {
		if !wanted(r) {
			continue
		}
		e := r.endpoint
		return params.RelationResultV2{
			Life: corelife.Value(r.life), Id: r.id, Key: r.key,
			Endpoint: params.Endpoint{ApplicationName: a.name, Relation: params.CharmRelation{
				Name: e.Name, Role: string(e.Role), Interface: e.Interface, Optional: e.Optional,
				Limit: e.Limit, Scope: string(e.Scope),
			}},
			OtherApplication: params.RelatedApplicationDetails{ModelUUID: modelUUID, ApplicationName: r.other},
		}, nil
	}
	return params.RelationResultV2{}, errNotFound
}

func relationsStatus(c *call) (any, error) {
	result := params.RelationUnitStatusResult{}
	for _, r := range c.unit.application.relationsOf() {
		result.RelationResults = append(result.RelationResults, params.RelationUnitStatus{
			RelationTag: tagOf(r), InScope: c.unit.inScope[r.id],
		})
	}
	return result, nil
}

// errCannotEnter is what a unit that has left its relations, because it is to be removed, needs to hear:
// it tries to join them again.
var errCannotEnter = &params.Error{Code: params.CodeCannotEnterScope, Message: "unit or relation is no longer alive"}

func enterScope(c *call) (any, error) {
	r, err := c.relation()
	if err != nil {
		return nil, err
	}
	if c.unit.inScope[r.id] {
		return nil, nil
	}
	if c.unit.life != alive || r.life != alive {
		return nil, errCannotEnter
	}
	c.unit.inScope[r.id] = true
	r.bag(c.unit.name).inScope = true
	address := c.unit.machine.Address()
	r.set(c.unit.name, map[string]string{
		"ingress-address": address, "private-address": address, "egress-subnets": address + "/32",
	})
	return nil, nil
}

func leaveScope(c *call) (any, error) {
	r, err := c.relation()
	if err != nil {
		return nil, err
	}
	delete(c.unit.inScope, r.id)
	r.bag(c.unit.name).inScope = false
	r.removeIfLeft()
	c.model.touch()
	return nil, nil
}

// relation is the relation that the arguments name.
func (c *call) relation() (*Relation, error) {
	args, err := read[params.RelationUnit](c)
	if err != nil {
		return nil, err
	}
	return c.unit.application.tagged(args.Relation)
}

func (c *call) databag(whose func(params.RelationUnit) string) (params.SettingsResult, error) {
	args, err := read[params.RelationUnit](c)
	if err != nil {
		return params.SettingsResult{}, err
	}
	r, err := c.unit.application.tagged(args.Relation)
	if err != nil {
		return params.SettingsResult{}, err
	}
	return params.SettingsResult{Settings: maps.Clone(r.bag(whose(args)).settings)}, nil
}

func readRemote(c *call) (any, error) {
	args, err := read[params.RelationUnitPair](c)
	if err != nil {
		return nil, err
	}
	r, err := c.unit.application.tagged(args.Relation)
	if err != nil {
		return nil, err
	}
	tag, err := names.ParseTag(args.RemoteUnit)
	if err != nil {
		return nil, err
	}
	return params.SettingsResult{Settings: maps.Clone(r.bag(tag.Id()).settings)}, nil
}

// Keys of the snapshot of a relation.
const (
	unitKey        = "unit:"
	applicationKey = "application:"
)

func watchRelationUnits(c *call) (any, error) {
	r, err := c.relation()
	if err != nil {
		return nil, err
	}
	u := c.unit
	id, first := c.model.watch(u, func() snapshot {
		seen := snapshot{applicationKey + r.other: strconv.Itoa(r.bag(r.other).version)}
		for _, name := range r.visible(u) {
			seen[unitKey+name] = strconv.Itoa(r.bag(name).version)
		}
		return seen
	}, renderRelation)
	result := first.(params.RelationUnitsWatchResult)
	result.RelationUnitsWatcherId = id
	return result, nil
}

func renderRelation(before, now snapshot) any {
	change := params.RelationUnitsChange{Changed: map[string]params.UnitSettings{}, AppChanged: map[string]int64{}}
	for _, key := range differing(before, now) {
		text, present := now[key]
		version, _ := strconv.ParseInt(text, 10, 64)
		if name, ok := strings.CutPrefix(key, applicationKey); ok {
			change.AppChanged[name] = version
			continue
		}
		name := strings.TrimPrefix(key, unitKey)
		if present {
			change.Changed[name] = params.UnitSettings{Version: version}
			continue
		}
		change.Departed = append(change.Departed, name)
	}
	return params.RelationUnitsWatchResult{Changes: change}
}
