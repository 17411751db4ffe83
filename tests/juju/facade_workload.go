package juju

import (
	"fmt"

	"github.com/juju/juju/rpc/params"
)

// workloadCalls are about what a hook changes, and about actions and leadership.
func workloadCalls() map[string]facadeCall {
	return map[string]facadeCall{
		"Uniter.SetUnitStatus":        each(setStatus(func(u *Unit, s Status) { u.unitStatus = s })),
		"Uniter.SetAgentStatus":       each(setStatus(func(u *Unit, s Status) { u.agentStatus = s })),
		"Uniter.SetApplicationStatus": each(setStatus(func(u *Unit, s Status) { u.application.status = s })),
		"Uniter.UnitStatus": each(func(c *call) (any, error) {
			return params.StatusResult{Status: c.unit.unitStatus.Status, Info: c.unit.unitStatus.Message}, nil
		}),
		"Uniter.ApplicationStatus": each(applicationStatus),
		"Uniter.SetWorkloadVersion": each(func(c *call) (any, error) {
			args, err := read[params.EntityWorkloadVersion](c)
			c.unit.workload = args.WorkloadVersion
			return nil, err
		}),
		"Uniter.WorkloadVersion": each(func(c *call) (any, error) {
			return params.StringResult{Result: c.unit.workload}, nil
		}),
		"Uniter.CommitHookChanges":                 each(commitHook),
		"Uniter.OpenedMachinePortRangesByEndpoint": each(openedPorts),
		"Uniter.WatchActionNotifications":          each(watchActions),
		"Uniter.Actions":                           each(describeAction),
		"Uniter.ActionStatus": each(func(c *call) (any, error) {
			a, err := c.action()
			if err != nil {
				return nil, err
			}
			return params.StringResult{Result: a.Status}, nil
		}),
		"Uniter.BeginActions": each(func(c *call) (any, error) {
			a, err := c.action()
			if err != nil {
				return nil, err
			}
			a.Status = "running"
			return nil, nil
		}),
		"Uniter.FinishActions":              each(finishAction),
		"Uniter.LogActionsMessages":         each(logAction),
		"LeadershipService.ClaimLeadership": each(claimLeadership),
		"Uniter.Merge":                      each(mergeLeader),
		"Uniter.Read": each(func(c *call) (any, error) {
			return params.GetLeadershipSettingsResult{Settings: c.unit.application.leaderSettings}, nil
		}),
		"Uniter.WatchLeadershipSettings": each(watchNotify(func(u *Unit) string {
			return fmt.Sprint(u.application.leaderRevisions)
		})),
	}
}

func setStatus(set func(*Unit, Status)) facadeCall {
	return func(c *call) (any, error) {
		args, err := read[params.EntityStatusArgs](c)
		if err == nil {
			set(c.unit, Status{Status: args.Status, Message: args.Info})
			c.model.touch()
		}
		return nil, err
	}
}

func applicationStatus(c *call) (any, error) {
	a := c.unit.application
	units := make(map[string]params.StatusResult)
	for _, u := range a.units {
		units[u.name] = params.StatusResult{Status: u.unitStatus.Status, Info: u.unitStatus.Message}
	}
	return params.ApplicationStatusResult{
		Application: params.StatusResult{Status: a.status.Status, Info: a.status.Message}, Units: units,
	}, nil
}

// commitHook takes over what a hook that succeeded has changed.
func commitHook(c *call) (any, error) {
	args, err := read[params.CommitHookChangesArg](c)
	if err != nil {
		return nil, err
	}
	for _, change := range args.RelationUnitSettings {
		r, err := c.unit.application.tagged(change.Relation)
		if err != nil {
			return nil, err
		}
		if change.Settings != nil {
			r.set(c.unit.name, change.Settings)
		}
		if change.ApplicationSettings != nil {
			r.set(c.unit.application.name, change.ApplicationSettings)
		}
	}
	for _, port := range args.OpenPorts {
		c.unit.ports[portOf(port)] = true
	}
	for _, port := range args.ClosePorts {
		delete(c.unit.ports, portOf(port))
	}
	if args.SetUnitState != nil {
		c.unit.setState(*args.SetUnitState)
	}
	if len(args.SecretCreates)+len(args.SecretUpdates)+len(args.SecretDeletes)+len(args.AddStorage) > 0 {
		return nil, &params.Error{Code: params.CodeNotImplemented, Message: "the test's model keeps no secrets and makes no storage"}
	}
	c.model.touch()
	return nil, nil
}

func portOf(p params.EntityPortRange) openPort {
	return openPort{endpoint: p.Endpoint, protocol: p.Protocol, from: p.FromPort, to: p.ToPort}
}

func openedPorts(c *call) (any, error) {
	byEndpoint := make(map[string][]params.PortRange)
	for port := range c.unit.ports {
		byEndpoint[port.endpoint] = append(byEndpoint[port.endpoint], params.PortRange{
			FromPort: port.from, ToPort: port.to, Protocol: port.protocol,
		})
	}
	var ranges []params.OpenUnitPortRangesByEndpoint
	for endpoint, list := range byEndpoint {
		ranges = append(ranges, params.OpenUnitPortRangesByEndpoint{Endpoint: endpoint, PortRanges: list})
	}
	return params.OpenPortRangesByEndpointResult{
		UnitPortRanges: map[string][]params.OpenUnitPortRangesByEndpoint{c.unit.tag().String(): ranges},
	}, nil
}

func (c *call) action() (*Action, error) {
	args, err := read[params.Entity](c)
	if err != nil {
		return nil, err
	}
	return c.unit.knownAction(args.Tag)
}

func (u *Unit) knownAction(tag string) (*Action, error) {
	if a := u.action(tag); a != nil {
		return a, nil
	}
	return nil, errNotFound
}

func watchActions(c *call) (any, error) {
	u := c.unit
	past := len(u.actions)
	for i, a := range u.actions {
		if a.Status == "pending" || a.Status == "running" {
			past = min(past, i)
		}
	}
	return c.model.watchStrings(u, func() snapshot {
		// An action that begins, and then ends, is no news to the agent that runs it.
		seen := snapshot{}
		for _, a := range u.actions[past:] {
			seen[a.id] = ""
		}
		return seen
	}), nil
}

func describeAction(c *call) (any, error) {
	a, err := c.action()
	if err != nil {
		return nil, err
	}
	return params.ActionResult{Status: a.Status, Action: &params.Action{
		Tag: a.tag(), Receiver: c.unit.tag().String(), Name: a.Name, Parameters: a.params,
	}}, nil
}

func finishAction(c *call) (any, error) {
	args, err := read[params.ActionExecutionResult](c)
	if err != nil {
		return nil, err
	}
	a, err := c.unit.knownAction(args.ActionTag)
	if err != nil {
		return nil, err
	}
	a.Status, a.Message, a.Results = args.Status, args.Message, args.Results
	c.model.touch()
	return nil, nil
}

func logAction(c *call) (any, error) {
	args, err := read[params.EntityString](c)
	if err != nil {
		return nil, err
	}
	a, err := c.unit.knownAction(args.Tag)
	if err != nil {
		return nil, err
	}
	a.Log = append(a.Log, args.Value)
	return nil, nil
}

func claimLeadership(c *call) (any, error) {
	a := c.unit.application
	c.unit.leads = a.leader == c.unit.name
	c.model.touch()
	if !c.unit.leads {
		return nil, &params.Error{Code: params.CodeLeadershipClaimDenied, Message: "leadership claim denied"}
	}
	return nil, nil
}

func mergeLeader(c *call) (any, error) {
	args, err := read[params.MergeLeadershipSettingsParam](c)
	if err != nil {
		return nil, err
	}
	if c.unit.application.leader != c.unit.name {
		return nil, &params.Error{Code: params.CodeUnauthorized, Message: "not the leader"}
	}
	c.unit.application.mergeLeaderSettings(args.Settings)
	return nil, nil
}
