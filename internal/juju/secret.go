package juju

import (
	"context"
	"errors"

	"docker-registry-operator/internal/config"
)

// Secret is the content of a secret of Juju at its last revision, which later hooks see
// as well. It is an error where it is not granted to the application, and
// [config.ErrNoSecrets] in a Juju without secrets.
func (u *Unit) Secret(ctx context.Context, uri string) (map[string]config.Secret, error) {
	content, err := ask(ctx, decodeSecret, "secret-get", "--refresh", uri)
	if errors.Is(err, errNoTool) {
		return nil, config.ErrNoSecrets
	}
	return content, err
}

func decodeSecret(data []byte) (map[string]config.Secret, error) {
	values, err := decode[map[string]string](data)
	content := make(map[string]config.Secret, len(values))
	for key, value := range values {
		content[key] = config.NewSecret(value)
	}
	return content, err
}

// Model is the ID of the unit's model.
func (u *Unit) Model() string { return u.getenv("JUJU_MODEL_UUID") }
