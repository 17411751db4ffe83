package script

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
)

// deployment is what an operator does.
func deployment() map[string]command {
	return map[string]command{
		"machine":     {1, 2, makeMachine},
		"deploy":      {2, many, deploy},
		"add-unit":    {1, 1, addUnit},
		"storage":     {3, 3, attachStorage},
		"detach":      {2, 2, detachStorage},
		"config":      {1, many, configure},
		"model":       {1, many, configureModel},
		"refresh":     {1, 1, refresh},
		"leader":      {0, 1, leader},
		"remove-unit": {1, 1, removeUnit},
	}
}

func makeMachine(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	options := machine.Options{Name: args[0], Network: w.network}
	if len(args) == 2 {
		if args[1] != "engine" {
			return "", fmt.Errorf("a machine may have an engine, not %q", args[1])
		}
		options.Engine = true
	}
	m, err := machine.New(ctx, options)
	if err != nil {
		return "", err
	}
	w.machines[args[0]] = m
	return "", nil
}

func (w *world) machine(name string) (*machine.Machine, error) {
	if m, ok := w.machines[name]; ok {
		return m, nil
	}
	return nil, fmt.Errorf("there is no machine %s", name)
}

func deploy(ctx context.Context, w *world, ts *testscript.TestScript, args []string) (string, error) {
	config, names := pairs(args[1:])
	storage := map[string]string{}
	for key, path := range config {
		if name, ok := strings.CutPrefix(key, "storage:"); ok {
			storage[name] = path
			delete(config, key)
		}
	}
	if err := readFiles(ts, config); err != nil {
		return "", err
	}
	charm, name, _ := strings.Cut(args[0], ":")
	var machines []*machine.Machine
	for _, name := range names {
		m, err := w.machine(name)
		if err != nil {
			return "", err
		}
		machines = append(machines, m)
	}
	app, err := w.model.Deploy(ctx, ts.MkAbs(charm), juju.Options{Name: name, Config: config, Storage: storage}, machines...)
	if app != nil {
		w.app, w.apps = app, append(w.apps, app)
	}
	return "", err
}

func addUnit(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	app, err := w.application()
	if err != nil {
		return "", err
	}
	m, err := w.machine(args[0])
	if err != nil {
		return "", err
	}
	_, err = app.AddUnit(ctx, m, nil)
	return "", err
}

func attachStorage(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	u.AddStorage(args[1], args[2])
	return "", nil
}

func detachStorage(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	u.DetachStorage(args[1])
	return "", nil
}

// readFiles reads the options that are given as @FILE.
func readFiles(ts *testscript.TestScript, config map[string]string) error {
	for key, value := range config {
		name, ok := strings.CutPrefix(value, "@")
		if !ok {
			continue
		}
		content, err := os.ReadFile(ts.MkAbs(name))
		if err != nil {
			return err
		}
		config[key] = string(content)
	}
	return nil
}

func configure(_ context.Context, w *world, ts *testscript.TestScript, args []string) (string, error) {
	app, err := w.application()
	if err != nil {
		return "", err
	}
	values, rest := pairs(args)
	if err := readFiles(ts, values); err != nil {
		return "", err
	}
	if len(rest) > 0 {
		if rest[0] != "-reset" {
			return "", fmt.Errorf("cannot set %q: want KEY=VALUE", rest[0])
		}
		if err := app.ResetConfig(rest[1:]...); err != nil {
			return "", err
		}
	}
	return "", app.SetConfig(values)
}

func configureModel(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	values, _ := pairs(args)
	config := make(map[string]any, len(values))
	for key, value := range values {
		config[key] = value
	}
	w.model.SetConfig(config)
	return "", nil
}

func refresh(_ context.Context, w *world, ts *testscript.TestScript, args []string) (string, error) {
	app, err := w.application()
	if err != nil {
		return "", err
	}
	return "", app.Refresh(ts.MkAbs(args[0]))
}

func leader(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	app, err := w.application()
	if err != nil {
		return "", err
	}
	if len(args) == 1 {
		u, err := w.unit(args[0])
		if err != nil {
			return "", err
		}
		app.SetLeader(u)
		return "", nil
	}
	if u := app.Leader(); u != nil {
		return u.Name() + "\n", nil
	}
	return "", fmt.Errorf("%s has no leader", app.Name())
}

func removeUnit(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	u.Remove()
	return "", u.WaitGone(ctx)
}

// relations is what the neighbours do.
func relations() map[string]command {
	return map[string]command{
		"relate": {2, 2, func(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
			app, err := w.application()
			if err != nil {
				return "", err
			}
			_, err = app.Relate(args[0], args[1])
			return "", err
		}},
		"databag": {2, many, databag},
		"depart": {2, 2, func(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
			r, err := w.relation(args[0], args[1])
			if err == nil {
				r.Depart(args[1])
			}
			return "", err
		}},
		"unrelate": {1, 2, func(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
			r, err := w.relation(args[0], args[1:]...)
			if err == nil {
				r.Remove()
			}
			return "", err
		}},
	}
}

// relation is the one with the application that a name is of, or else the first at the endpoint.
func (w *world) relation(endpoint string, with ...string) (*juju.Relation, error) {
	app, err := w.application()
	if err != nil {
		return nil, err
	}
	for _, name := range with {
		other, _, _ := strings.Cut(name, "/")
		if r := app.RelationWith(endpoint, other); r != nil {
			return r, nil
		}
	}
	if r := app.Relation(endpoint); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("there is no relation at %s", endpoint)
}

func databag(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	r, err := w.relation(args[0], args[1])
	if err != nil {
		return "", err
	}
	values, _ := pairs(args[2:])
	if len(values) > 0 {
		return "", r.Set(args[1], values)
	}
	var out strings.Builder
	bag := r.Get(args[1])
	for _, key := range slices.Sorted(maps.Keys(bag)) {
		fmt.Fprintf(&out, "%s=%s\n", key, bag[key])
	}
	return out.String(), nil
}
