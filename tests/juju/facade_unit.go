package juju

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/juju/charm/v12"
	corelife "github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
)

// unitState is what the agent keeps in the controller, so that it outlives the machine.
type unitState struct {
	charm    map[string]string
	uniter   string
	relation map[int]string
	storage  string
	secret   string
	meter    string
}

var errNotFound = &params.Error{Code: params.CodeNotFound, Message: "not found"}

// unitCalls are about the unit itself: its life, its state, its statuses, its place.
func unitCalls() map[string]facadeCall {
	calls := map[string]facadeCall{
		"Refresh": func(c *call) (any, error) {
			return params.UnitRefreshResult{Life: corelife.Value(c.unit.life)}, nil
		},
		"Life": entityLife,
		"EnsureDead": func(c *call) (any, error) {
			c.unit.life = dead
			return nil, nil
		},
		"Watch":                           watchEntity,
		"WatchUnitAddressesHash":          watchHash(func(u *Unit) string { return u.machine.Address() }),
		"WatchTrustConfigSettingsHash":    watchHash(func(*Unit) string { return "untrusted" }),
		"WatchConfigSettingsHash":         watchHash(configHash),
		"WatchUpgradeSeriesNotifications": watchNotify(func(*Unit) string { return "" }),
		"UpgradeSeriesUnitStatus":         always(params.UpgradeSeriesStatusResult{Status: "not started"}),
		"CharmURL":                        charmURL,
		"SetCharmURL": func(c *call) (any, error) {
			args, err := read[params.EntityCharmURL](c)
			c.unit.charmURL = args.CharmURL
			return nil, err
		},
		"CharmModifiedVersion": func(c *call) (any, error) {
			return params.IntResult{Result: c.unit.application.modified}, nil
		},
		"DestroyAllSubordinates": func(c *call) (any, error) {
			c.unit.departSubordinates()
			return nil, nil
		},
		"CharmArchiveSha256": archiveSHA256,
		"LXDProfileRequired": always(params.BoolResult{}),
		"CanApplyLXDProfile": always(params.BoolResult{}),
		"AssignedMachine": func(c *call) (any, error) {
			return params.StringResult{Result: names.NewMachineTag(fmt.Sprint(c.unit.number)).String()}, nil
		},
		"AvailabilityZone": always(params.StringResult{}),
		"GetPrincipal":     always(params.StringBoolResult{}),
		"HasSubordinates":  always(params.BoolResult{}),
		"PublicAddress":    address,
		"PrivateAddress":   address,
		"GetMeterStatus":   always(params.MeterStatusResult{Code: "NOT SET"}),
		"ClearResolved":    always(nil),
		"RequestReboot":    always(nil),
		"State":            readState,
		"SetState":         setState,
		"ConfigSettings": func(c *call) (any, error) {
			return params.ConfigSettingsResult{Settings: params.ConfigSettings(c.unit.settings())}, nil
		},
	}
	bulk := make(map[string]facadeCall, len(calls))
	for name, answer := range calls {
		bulk["Uniter."+name] = each(answer)
	}
	return bulk
}

// departSubordinates has the subordinates of a unit leave it, as they do when it is removed.
func (u *Unit) departSubordinates() {
	for _, r := range u.application.relationsOf() {
		if r.endpoint.Scope != charm.ScopeContainer {
			continue
		}
		for _, name := range r.visible(u) {
			r.bag(name).inScope = false
		}
	}
	u.application.model.touch()
}

func watchHash(fingerprint func(u *Unit) string) facadeCall {
	return func(c *call) (any, error) {
		u := c.unit
		return c.model.watchHash(u, func() string { return fingerprint(u) }), nil
	}
}

func watchNotify(fingerprint func(u *Unit) string) facadeCall {
	return func(c *call) (any, error) {
		u := c.unit
		return c.model.watchNotify(u, func() string { return fingerprint(u) }), nil
	}
}

// settings are those of the revision that the unit runs: those of the next one must not reach it
// before the charm does.
func (u *Unit) settings() charm.Settings {
	for _, revision := range u.application.revisions {
		if revision.url == u.charmURL {
			return revision.settings()
		}
	}
	return u.application.revision().settings()
}

func configHash(u *Unit) string {
	// Maps are printed in the order of their keys. A new charm counts as a change, as in Juju.
	text, err := json.Marshal(u.settings())
	if err != nil {
		return err.Error()
	}
	return u.charmURL + string(text)
}

// isApplication says whether the call is about the application and not the unit.
func isApplication(c *call) (bool, error) {
	entity, err := read[params.Entity](c)
	return strings.HasPrefix(entity.Tag, names.ApplicationTagKind+"-"), err
}

func entityLife(c *call) (any, error) {
	application, err := isApplication(c)
	if application {
		return params.LifeResult{Life: corelife.Alive}, err
	}
	return params.LifeResult{Life: corelife.Value(c.unit.life)}, err
}

func watchEntity(c *call) (any, error) {
	application, err := isApplication(c)
	if err != nil {
		return nil, err
	}
	u := c.unit
	if application {
		return c.model.watchNotify(u, func() string {
			return fmt.Sprint(u.application.revision().url, u.application.modified)
		}), nil
	}
	return c.model.watchNotify(u, func() string { return string(u.life) }), nil
}

func charmURL(c *call) (any, error) {
	application, err := isApplication(c)
	if application {
		return params.StringBoolResult{Result: c.unit.application.revision().url}, err
	}
	return params.StringBoolResult{Result: c.unit.charmURL, Ok: c.unit.charmURL != ""}, err
}

func archiveSHA256(c *call) (any, error) {
	args, err := read[params.CharmURL](c)
	if err != nil {
		return nil, err
	}
	for _, revision := range c.unit.application.revisions {
		if revision.url == args.URL {
			return params.StringResult{Result: revision.sha256}, nil
		}
	}
	return nil, errNotFound
}

func address(c *call) (any, error) { return params.StringResult{Result: c.unit.machine.Address()}, nil }

func readState(c *call) (any, error) {
	s := c.unit.state
	return params.UnitStateResult{
		CharmState: s.charm, UniterState: s.uniter, RelationState: s.relation, StorageState: s.storage,
		SecretState: s.secret, MeterStatusState: s.meter,
	}, nil
}

func setState(c *call) (any, error) {
	args, err := read[params.SetUnitStateArg](c)
	if err == nil {
		c.unit.setState(args)
	}
	return nil, err
}

// setState keeps the parts of the state that are given.
func (u *Unit) setState(args params.SetUnitStateArg) {
	if args.CharmState != nil {
		u.state.charm = maps.Clone(*args.CharmState)
	}
	if args.RelationState != nil {
		u.state.relation = maps.Clone(*args.RelationState)
	}
	for _, part := range []struct {
		to   *string
		from *string
	}{
		{&u.state.uniter, args.UniterState},
		{&u.state.storage, args.StorageState},
		{&u.state.secret, args.SecretState},
		{&u.state.meter, args.MeterStatusState},
	} {
		if part.from != nil {
			*part.to = *part.from
		}
	}
}
