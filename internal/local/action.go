package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/juju/charm/v12"
	"gopkg.in/yaml.v3"

	"docker-registry-operator/internal/operator"
)

// Action is an action that was asked for on the command line.
type Action struct {
	name     string
	params   map[string]any
	progress io.Writer

	mu      sync.Mutex
	results map[string]string
	failure string
}

var _ operator.Action = (*Action)(nil)

// NewAction is the action of that name in declared, which is actions.yaml, with
// parameters of the form key=value. Lines of progress go to progress.
func NewAction(declared, name string, args []string, progress io.Writer) (*Action, error) {
	actions, err := charm.ReadActionsYaml(application, strings.NewReader(declared))
	if err != nil {
		return nil, fmt.Errorf("cannot read actions.yaml: %w", err)
	}
	spec, known := actions.ActionSpecs[name]
	if !known {
		return nil, fmt.Errorf("cannot run action %q: there is none of that name, only %s",
			name, list(actions.ActionSpecs))
	}
	params, err := parse(spec, args)
	if err != nil {
		return nil, fmt.Errorf("cannot run action %q: %w", name, err)
	}
	return &Action{name: name, params: params, progress: progress, results: map[string]string{}}, nil
}

// parse gives arguments the types of their declarations and fills in the defaults.
func parse(spec charm.ActionSpec, args []string) (map[string]any, error) {
	properties, _ := spec.Params["properties"].(map[string]any)
	params := map[string]any{}
	for _, arg := range args {
		key, text, isPair := strings.Cut(arg, "=")
		if !isPair {
			return nil, fmt.Errorf("%q is not of the form key=value", arg)
		}
		property, known := properties[key].(map[string]any)
		if !known {
			return nil, fmt.Errorf("there is no parameter %q, only %s", key, list(properties))
		}
		value, err := parseValue(text, property["type"])
		if err != nil {
			return nil, fmt.Errorf("parameter %q: %q is not of type %v", key, text, property["type"])
		}
		params[key] = value
	}
	required, _ := spec.Params["required"].([]any)
	for _, key := range required {
		if _, given := params[fmt.Sprint(key)]; !given {
			return nil, fmt.Errorf("parameter %q is missing: add %v=VALUE", key, key)
		}
	}
	params, err := spec.InsertDefaults(params)
	if err != nil {
		return nil, err
	}
	if err := spec.ValidateParams(params); err != nil {
		return nil, err
	}
	for key, value := range params {
		property, _ := properties[key].(map[string]any)
		// Defaults have been through JSON, which knows one kind of number.
		if number, isFloat := value.(float64); isFloat && property["type"] == "integer" {
			params[key] = int64(number)
		}
	}
	return params, nil
}

func parseValue(text string, kind any) (any, error) {
	switch kind {
	case "boolean":
		return strconv.ParseBool(text)
	case "integer":
		return strconv.ParseInt(text, 10, 64)
	case "number":
		return strconv.ParseFloat(text, 64)
	}
	return text, nil
}

func list[V any](named map[string]V) string {
	if len(named) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(named)), ", ")
}

// Name is the action's name, as in actions.yaml.
func (a *Action) Name() string { return a.name }

// Params are the parameters given, defaults filled in.
func (a *Action) Params(context.Context) (map[string]any, error) {
	return maps.Clone(a.params), nil
}

// Log shows a line of progress.
func (a *Action) Log(_ context.Context, line string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := fmt.Fprintln(a.progress, line)
	return err
}

// Set adds results; keys are dotted lower-case paths.
func (a *Action) Set(_ context.Context, results map[string]string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(a.results, results)
	return nil
}

// Fail ends the action as failed. An empty message is replaced by one.
func (a *Action) Fail(_ context.Context, message string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if message == "" {
		message = "action failed without a reason"
	}
	a.failure = message
	return nil
}

// Failure is why the action failed, "" if it did not.
func (a *Action) Failure() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}

// Print prints the results as `juju run` does: YAML, with a level of its own for
// each part of a dotted key. Nothing is printed where there are none.
func (a *Action) Print(w io.Writer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.results) == 0 {
		return nil
	}
	tree := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(a.results)) {
		graft(tree, strings.Split(key, "."), a.results[key])
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(tree), encoder.Close()); err != nil {
		return fmt.Errorf("cannot print results: %w", err)
	}
	return nil
}

// graft puts a value into a tree; what stands in the way of its path is replaced.
func graft(tree map[string]any, path []string, value string) {
	for ; len(path) > 1; path = path[1:] {
		branch, isBranch := tree[path[0]].(map[string]any)
		if !isBranch {
			branch = map[string]any{}
			tree[path[0]] = branch
		}
		tree = branch
	}
	tree[path[0]] = value
}
