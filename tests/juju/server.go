package juju

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/juju/juju/rpc/params"

	"docker-registry-operator/tests/juju/wire"
)

// A call is one request of a unit's agent.
type call struct {
	model *Model
	unit  *Unit
	id    string
	body  json.RawMessage
}

// read decodes the arguments, or one element of a bulk call's.
func read[T any](c *call) (T, error) {
	var args T
	if err := json.Unmarshal(c.body, &args); err != nil {
		return args, fmt.Errorf("cannot read arguments: %w", err)
	}
	return args, nil
}

// A facadeCall answers a call, under the model's lock.
type facadeCall func(c *call) (any, error)

// A blockingCall answers a call that waits for something, without the lock.
type blockingCall func(ctx context.Context, c *call) (any, error)

func (m *Model) handler() http.Handler {
	blocking := blockingCalls()
	calls := make(map[string]facadeCall)
	for _, facade := range []map[string]facadeCall{
		unitCalls(), relationCalls(), workloadCalls(), storageCalls(), modelCalls(), secretCalls(), agentCalls(),
	} {
		for name, answer := range facade {
			calls[name] = answer
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{facade}/{request}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("facade") + "." + r.PathValue("request")
		result, err := m.call(r, name, calls[name], blocking[name])
		reply(w, name, result, err)
	})
	mux.HandleFunc("GET /charms", m.serveCharm)
	return mux
}

func (m *Model) call(r *http.Request, name string, answer facadeCall, block blockingCall) (any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	unit := m.unit(r.Header.Get(wire.UnitHeader))
	if unit == nil {
		return nil, &params.Error{Code: params.CodeNotFound, Message: "unit not found"}
	}
	c := &call{model: m, unit: unit, id: r.URL.Query().Get("id"), body: body}
	// Leases are renewed all the time, and mean nothing unless they change hands.
	if !strings.HasPrefix(name, "LeadershipService.") {
		defer func() { unit.asked = time.Now() }()
	}
	if block != nil {
		m.mu.Unlock()
		defer m.mu.Lock()
		return block(r.Context(), c)
	}
	if answer == nil {
		return nil, &params.Error{Code: params.CodeNotImplemented, Message: "the test's model has no " + name}
	}
	return answer(c)
}

func reply(w http.ResponseWriter, name string, result any, err error) {
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		result = refusal(fmt.Errorf("%s: %w", name, err))
	}
	if result == nil {
		return
	}
	// An error here means that the agent is gone.
	_ = json.NewEncoder(w).Encode(result)
}

// refusal turns an error into the form in which Juju sends it, and keeps its code.
func refusal(err error) *params.Error {
	refused := &params.Error{Message: err.Error()}
	var coded *params.Error
	if errors.As(err, &coded) {
		refused.Code = coded.Code
	}
	return refused
}

// each makes a bulk call of an answer to one: the arguments of a bulk call are an object with a single
// list, its result is an object with the list of results.
func each(answer facadeCall) facadeCall {
	return func(c *call) (any, error) {
		lists, err := read[map[string][]json.RawMessage](c)
		if err != nil {
			return nil, err
		}
		if len(lists) != 1 {
			return nil, fmt.Errorf("cannot read arguments: %d lists in a bulk call", len(lists))
		}
		results := []any{}
		for _, elements := range lists {
			for _, element := range elements {
				one := *c
				one.body = element
				result, err := answer(&one)
				if err != nil {
					result = map[string]any{"error": refusal(err)}
				}
				if result == nil {
					result = struct{}{}
				}
				results = append(results, result)
			}
		}
		return map[string]any{"results": results}, nil
	}
}

// always answers every call the same.
func always(result any) facadeCall { return func(*call) (any, error) { return result, nil } }

func (m *Model) serveCharm(w http.ResponseWriter, r *http.Request) {
	url := r.URL.Query().Get("url")
	path := ""
	m.mu.Lock()
	for _, application := range m.applications {
		for _, revision := range application.revisions {
			if revision.url == url {
				path = revision.path
			}
		}
	}
	m.mu.Unlock()
	if path == "" {
		http.Error(w, "no charm "+url, http.StatusNotFound)
		return
	}
	http.ServeFile(w, r, path)
}

func blockingCalls() map[string]blockingCall {
	next := func(ctx context.Context, c *call) (any, error) { return c.model.next(ctx, c.id) }
	return map[string]blockingCall{
		"NotifyWatcher.Next":         next,
		"StringsWatcher.Next":        next,
		"RelationUnitsWatcher.Next":  next,
		"SecretsTriggerWatcher.Next": next,
		"LeadershipService.BlockUntilLeadershipReleased": func(ctx context.Context, c *call) (any, error) {
			a := c.unit.application
			before := a.Leader()
			return params.ErrorResult{}, c.model.await(ctx, func() (bool, error) {
				return a.leader == "" || a.leader == c.unit.name || before == nil || a.leader != before.name, nil
			})
		},
		wire.Facade + "." + wire.UpdateStatus: func(ctx context.Context, c *call) (any, error) {
			return nil, c.model.await(ctx, func() (bool, error) {
				if c.unit.updates == 0 {
					return false, nil
				}
				c.unit.updates--
				return true, nil
			})
		},
	}
}

// agentCalls are what the test's own agent tells beyond Juju's.
func agentCalls() map[string]facadeCall {
	return map[string]facadeCall{
		wire.Facade + "." + wire.HookStarted: func(c *call) (any, error) {
			start, err := read[wire.HookStart](c)
			c.unit.start(start)
			c.model.touch()
			return nil, err
		},
		wire.Facade + "." + wire.HookProcess: func(c *call) (any, error) {
			process, err := read[wire.Process](c)
			if c.unit.running != nil {
				c.unit.running.PID = process.PID
			}
			c.model.touch()
			return nil, err
		},
		wire.Facade + "." + wire.HookFinished: func(c *call) (any, error) {
			end, err := read[wire.HookEnd](c)
			c.unit.end(end)
			c.model.touch()
			return nil, err
		},
		wire.Facade + "." + wire.Log: func(c *call) (any, error) {
			line, err := read[LogLine](c)
			c.unit.hear(line)
			return nil, err
		},
	}
}
