package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"docker-registry-operator/tests/provider"
)

// providers are what issues certificates over a relation.
func providers() map[string]command {
	return map[string]command{
		"provider": {2, 3, relateProvider},
		"provide":  {1, many, provide},
	}
}

func relateProvider(_ context.Context, w *world, ts *testscript.TestScript, args []string) (string, error) {
	version := slices.Index([]string{"v0", "v1"}, args[0])
	if version < 0 {
		return "", fmt.Errorf("cannot play a provider of %s: want v0 or v1", args[0])
	}
	app, err := w.application()
	if err != nil {
		return "", err
	}
	values, _ := pairs(args[2:])
	options := provider.Options{Version: version, Intermediate: values["intermediate"] == "true"}
	p, err := provider.Relate(app, args[1], options)
	if err != nil {
		return "", err
	}
	w.providers[args[1]] = p
	return "", writeRoot(ts, args[1], p)
}

// writeRoot writes what clients are to trust.
func writeRoot(ts *testscript.TestScript, name string, p *provider.Provider) error {
	return os.WriteFile(ts.MkAbs(name+".crt"), []byte(p.CA()), 0o600)
}

func provide(_ context.Context, w *world, ts *testscript.TestScript, args []string) (string, error) {
	p, ok := w.providers[args[0]]
	if !ok {
		return "", fmt.Errorf("there is no provider %s", args[0])
	}
	values, others := pairs(args[1:])
	if err := setManner(p, values); err != nil {
		return "", err
	}
	if len(others) == 0 {
		answered, err := p.Provide()
		return fmt.Sprintf("%d answered\n", answered), err
	}
	switch others[0] {
	case "reissue":
		return "", p.Reissue()
	case "rotate":
		return "", errors.Join(p.Rotate(), writeRoot(ts, args[0], p))
	case "revoke":
		return "", p.Revoke()
	case "leave":
		p.Remove()
		return "", nil
	}
	return "", fmt.Errorf("a provider cannot %s", others[0])
}

// setManner sets how the provider issues; what is not given is as it should be.
func setManner(p *provider.Provider, values map[string]string) error {
	p.Fault = provider.Fault(values["fault"])
	if p.Fault != provider.None && !slices.Contains(provider.Faults(), p.Fault) {
		return fmt.Errorf("there is no fault %q", p.Fault)
	}
	for key, to := range map[string]*time.Duration{"validity": &p.Validity, "age": &p.Age} {
		*to = 0
		if values[key] == "" {
			continue
		}
		var err error
		if *to, err = time.ParseDuration(values[key]); err != nil {
			return fmt.Errorf("cannot read %s: %w", key, err)
		}
	}
	return nil
}
