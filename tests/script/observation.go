package script

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"docker-registry-operator/tests/juju"
)

// observation is what tells a script how things are.
func observation() map[string]command {
	return map[string]command{
		"wait-idle": {0, 0, func(ctx context.Context, w *world, _ *testscript.TestScript, _ []string) (string, error) {
			if len(w.apps) == 0 {
				return "", errNothingDeployed
			}
			for _, app := range w.apps {
				if err := app.WaitIdle(ctx); err != nil {
					return "", err
				}
			}
			return "", nil
		}},
		"wait-status": {2, 2, waitStatus},
		"status":      {1, 1, status},
		"hooks":       {1, 1, hooks},
		"log":         {1, 1, logged},
		"run":         {2, many, runAction},
		"on":          {2, many, on},
		"get":         {2, 2, get},
	}
}

func waitStatus(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	wanted, err := regexp.Compile(args[1])
	if err != nil {
		return "", err
	}
	return "", u.Wait(ctx, func(unit, agent juju.Status) bool {
		return wanted.MatchString(unit.String()) || wanted.MatchString(agent.String())
	})
}

func status(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("unit %s\nagent %s\nversion %s\nports %s\n",
		u.Status(), u.AgentStatus(), u.WorkloadVersion(), strings.Join(u.OpenedPorts(), " ")), nil
}

func hooks(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	ended := u.Hooks()
	var out strings.Builder
	for _, hook := range ended[w.hooks[u.Name()]:] {
		fmt.Fprintf(&out, "%s %d", hook.Name, len(hook.Tools))
		if hook.Err != "" {
			fmt.Fprintf(&out, " failed: %s", hook.Err)
		}
		out.WriteByte('\n')
	}
	w.hooks[u.Name()] = len(ended)
	return out.String(), nil
}

// logged leaves out what hooks print on standard output, which is at DEBUG.
func logged(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	var out strings.Builder
	ended := u.Hooks()
	for _, hook := range ended[w.logs[u.Name()]:] {
		for _, line := range hook.Log {
			if line.Level != "DEBUG" && line.Level != "TRACE" {
				fmt.Fprintf(&out, "%s: %s %s\n", hook.Name, line.Level, line.Message)
			}
		}
	}
	w.logs[u.Name()] = len(ended)
	return out.String(), nil
}

func runAction(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	values, others := pairs(args[2:])
	if len(others) > 0 {
		return "", fmt.Errorf("cannot pass %q: want KEY=VALUE", others[0])
	}
	parameters, err := typed(values)
	if err != nil {
		return "", err
	}
	action, err := u.RunAction(ctx, args[1], parameters)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	writeResults(&out, "", action.Results)
	for _, line := range action.Log {
		fmt.Fprintf(&out, "log: %s\n", line)
	}
	if action.Status != "completed" {
		return out.String(), fmt.Errorf("action %s %s: %s", action.Name, action.Status, action.Message)
	}
	return out.String(), nil
}

// writeResults writes one result a line, nested ones by their dotted path.
func writeResults(out *strings.Builder, prefix string, results map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(results)) {
		if nested, ok := results[key].(map[string]any); ok {
			writeResults(out, prefix+key+".", nested)
			continue
		}
		fmt.Fprintf(out, "%s%s: %v\n", prefix, key, results[key])
	}
}

func on(ctx context.Context, w *world, ts *testscript.TestScript, args []string) (string, error) {
	m, err := w.host(args[0])
	if err != nil {
		return "", err
	}
	cmd := m.Command(ctx, args[1], args[2:]...)
	cmd.Stderr = ts.Stderr()
	out, err := cmd.Output()
	return string(out), err
}

func get(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[1], nil)
	if err != nil {
		return "", err
	}
	client := u.Machine().HTTPClient()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%s\n%s\n", resp.Status, body), err
}
