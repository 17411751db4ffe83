package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"docker-registry-operator/internal/config"
)

// options are the unit's options with the secrets that they name, each read once. What
// cannot be read is among the [config.Problems]: without it, the registry could only
// become less than what was asked for.
func (o *Operator) options(ctx context.Context) (config.Options, error) {
	options, err := o.Unit.Options(ctx)
	if err != nil {
		return nil, err
	}
	references, err := config.References(options)
	if err != nil || len(references) == 0 {
		return options, err
	}
	var problems config.Problems
	contents, unread := map[string]map[string]config.Secret{}, map[string]error{}
	for _, reference := range references {
		uri := reference.URI
		if contents[uri] == nil && unread[uri] == nil {
			contents[uri], unread[uri] = o.Unit.Secret(ctx, uri)
		}
		if err := unread[uri]; err != nil {
			problems = append(problems, o.unreadable(reference, err))
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("cannot read secrets: %w", ctx.Err())
	case len(problems) > 0:
		return nil, problems
	}
	return config.Resolve(options, references, contents)
}

func (o *Operator) unreadable(reference config.Reference, err error) config.Problem {
	if errors.Is(err, config.ErrNoSecrets) {
		return config.Problem{Option: reference.Option, Text: "names a secret, and this unit can read none: options name secrets from Juju 3.3 on; set the value itself"}
	}
	application, _, _ := strings.Cut(o.Unit.Name(), "/")
	return config.Problem{Option: reference.Option, Text: fmt.Sprintf(
		`names secret %s, which the unit cannot read (%v); type "juju grant-secret %[1]s %[3]s", or reset the option`,
		reference.ID(), err, application)}
}
