package juju

import (
	"slices"

	corelife "github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
)

// modelCalls are about the model and what units find in it.
func modelCalls() map[string]facadeCall {
	return map[string]facadeCall{
		"Uniter.CurrentModel": func(c *call) (any, error) {
			return params.ModelResult{Name: c.model.config["name"].(string), UUID: modelUUID, Type: "iaas"}, nil
		},
		"Uniter.ModelConfig": func(c *call) (any, error) {
			return params.ModelConfigResult{Config: c.model.config}, nil
		},
		"Uniter.WatchForModelConfigChanges": func(c *call) (any, error) {
			// Only the interval of update-status is read again, and that never changes.
			return c.model.watchNotify(c.unit, func() string { return "" }), nil
		},
		"Uniter.ProviderType":    always(params.StringResult{Result: "manual"}),
		"Uniter.SLALevel":        always(params.StringResult{}),
		"Uniter.CloudAPIVersion": always(params.StringResult{}),
		"Uniter.APIAddresses": func(c *call) (any, error) {
			return params.StringsResult{Result: []string{c.model.address()}}, nil
		},
		"Uniter.NetworkInfo": networkInfo,
		"Uniter.GoalStates":  each(goalState),

		"ResourcesHookContext.GetResourceInfo": each(always(nil)),
		"PayloadsHookContext.List":             always(params.PayloadResults{}),
	}
}

// watchNothing is a watcher that tells an empty list and then keeps silent.
func watchNothing(c *call) (any, error) {
	return c.model.watchStrings(c.unit, func() snapshot { return snapshot{} }), nil
}

func watchNoTrigger(c *call) (any, error) {
	id, _ := c.model.watch(c.unit, func() snapshot { return snapshot{} }, func(_, _ snapshot) any { return nil })
	return params.SecretTriggerWatchResult{WatcherId: id}, nil
}

func networkInfo(c *call) (any, error) {
	args, err := read[params.NetworkInfoParams](c)
	if err != nil {
		return nil, err
	}
	endpoints := args.Endpoints
	if args.RelationId != nil {
		for _, r := range c.unit.application.relationsOf() {
			if r.id == *args.RelationId {
				endpoints = append(slices.Clone(endpoints), r.endpoint.Name)
			}
		}
	}
	address := c.unit.machine.Address()
	results := params.NetworkInfoResults{Results: map[string]params.NetworkInfoResult{}}
	known := c.unit.application.revision().archive.Meta().CombinedRelations()
	for _, endpoint := range endpoints {
		_, ok := known[endpoint]
		_, extra := c.unit.application.revision().archive.Meta().ExtraBindings[endpoint]
		if !ok && !extra && endpoint != "juju-info" && endpoint != "" {
			results.Results[endpoint] = params.NetworkInfoResult{
				Error: &params.Error{Message: "undefined for unit charm"},
			}
			continue
		}
		results.Results[endpoint] = params.NetworkInfoResult{
			Info: []params.NetworkInfo{{InterfaceName: "eth0", Addresses: []params.InterfaceAddress{
				{Address: address, CIDR: "10.213.0.0/24"},
			}}},
			EgressSubnets: []string{address + "/32"}, IngressAddresses: []string{address},
		}
	}
	return results, nil
}

func goalState(c *call) (any, error) {
	goal := &params.GoalState{Units: params.UnitsGoalState{}, Relations: map[string]params.UnitsGoalState{}}
	for _, u := range c.unit.application.units {
		goal.Units[u.name] = params.GoalStateStatus{Status: u.unitStatus.Status}
	}
	for _, r := range c.unit.application.relationsOf() {
		units := params.UnitsGoalState{}
		for _, name := range r.visible(c.unit) {
			units[name] = params.GoalStateStatus{Status: "active"}
		}
		goal.Relations[r.endpoint.Name] = units
	}
	return params.GoalStateResult{Result: goal}, nil
}

// storageCalls are about storage that is attached to the unit.
func storageCalls() map[string]facadeCall {
	return map[string]facadeCall{
		"Uniter.WatchUnitStorageAttachments": each(func(c *call) (any, error) {
			u := c.unit
			return c.model.watchStrings(u, func() snapshot {
				seen := snapshot{}
				for _, s := range u.storage {
					seen[s.id] = string(s.life)
				}
				return seen
			}), nil
		}),
		"Uniter.UnitStorageAttachments": each(func(c *call) (any, error) {
			result := params.StorageAttachmentIdsResult{}
			for _, s := range c.unit.storage {
				result.Result.Ids = append(result.Result.Ids, params.StorageAttachmentId{
					StorageTag: names.NewStorageTag(s.id).String(), UnitTag: c.unit.tag().String(),
				})
			}
			return result, nil
		}),
		"Uniter.StorageAttachments": each(func(c *call) (any, error) {
			s, err := c.storage()
			if err != nil {
				return nil, err
			}
			return params.StorageAttachmentResult{Result: params.StorageAttachment{
				StorageTag: names.NewStorageTag(s.id).String(), OwnerTag: c.unit.tag().String(),
				UnitTag: c.unit.tag().String(), Kind: params.StorageKindFilesystem, Location: s.location,
				Life: corelife.Value(s.life),
			}}, nil
		}),
		"Uniter.StorageAttachmentLife": each(func(c *call) (any, error) {
			s, err := c.storage()
			if err != nil {
				return nil, err
			}
			return params.LifeResult{Life: corelife.Value(s.life)}, nil
		}),
		"Uniter.WatchStorageAttachments": each(func(c *call) (any, error) {
			s, err := c.storage()
			if err != nil {
				return nil, err
			}
			return c.model.watchNotify(c.unit, func() string { return string(s.life) }), nil
		}),
		"Uniter.RemoveStorageAttachments": each(func(c *call) (any, error) {
			s, err := c.storage()
			if err != nil {
				return nil, err
			}
			c.unit.storage = slices.DeleteFunc(c.unit.storage, func(other *storageInstance) bool { return other == s })
			c.model.touch()
			return nil, nil
		}),
		"Uniter.DestroyUnitStorageAttachments": each(func(c *call) (any, error) {
			for _, s := range c.unit.storage {
				s.life = dying
			}
			c.model.touch()
			return nil, nil
		}),
	}
}

func (c *call) storage() (*storageInstance, error) {
	args, err := read[params.StorageAttachmentId](c)
	if err != nil {
		return nil, err
	}
	for _, s := range c.unit.storage {
		if names.NewStorageTag(s.id).String() == args.StorageTag {
			return s, nil
		}
	}
	return nil, errNotFound
}
