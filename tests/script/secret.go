package script

import (
	"context"
	"fmt"

	"github.com/rogpeppe/go-internal/testscript"

	"docker-registry-operator/tests/juju"
)

// secrets are what the model's user keeps for options.
func secrets() map[string]command {
	return map[string]command{
		"secret":        {2, many, setSecret},
		"grant":         {1, 1, onSecret(func(s *juju.Secret, a *juju.Application) { s.Grant(a) })},
		"revoke":        {1, 1, onSecret(func(s *juju.Secret, a *juju.Application) { s.Revoke(a) })},
		"remove-secret": {1, 1, onSecret(func(s *juju.Secret, _ *juju.Application) { s.Remove() })},
	}
}

func setSecret(_ context.Context, w *world, ts *testscript.TestScript, args []string) (string, error) {
	content, _ := pairs(args[1:])
	if err := readFiles(ts, content); err != nil {
		return "", err
	}
	if s, ok := w.secrets[args[0]]; ok {
		s.Set(content)
		return "", nil
	}
	s := w.model.AddSecret(content)
	w.secrets[args[0]] = s
	ts.Setenv(args[0], s.ID())
	return "", nil
}

func onSecret(do func(s *juju.Secret, a *juju.Application)) func(context.Context, *world, *testscript.TestScript, []string) (string, error) {
	return func(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
		app, err := w.application()
		if err != nil {
			return "", err
		}
		s, ok := w.secrets[args[0]]
		if !ok {
			return "", fmt.Errorf("there is no secret %s", args[0])
		}
		do(s, app)
		return "", nil
	}
}
