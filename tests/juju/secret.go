package juju

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/juju/juju/rpc/params"
)

// A Secret is owned by an application that the test plays, which grants it over one relation, or by
// the model's user, who grants it to applications.
type Secret struct {
	model    *Model
	relation *Relation // nil for a user's
	id       string

	// All below is under the model's lock.

	granted   map[*Application]bool
	removed   bool
	revisions []map[string]string // contents
}

// AddSecret makes a secret of the other application, which the application's units may read as long
// as the relation is there.
func (r *Relation) AddSecret(content map[string]string) *Secret {
	return r.model.addSecret(&Secret{relation: r, revisions: []map[string]string{content}})
}

// AddSecret makes a secret of the user, as juju add-secret does. Nobody may read it yet.
func (m *Model) AddSecret(content map[string]string) *Secret {
	return m.addSecret(&Secret{granted: map[*Application]bool{}, revisions: []map[string]string{content}})
}

func (m *Model) addSecret(s *Secret) *Secret {
	m.mu.Lock()
	defer m.mu.Unlock()
	// The last of 20 letters has one bit only: 0 or g.
	s.model, s.id = m, fmt.Sprintf("cr2b8ke5v7qc7ahm%03d0", len(m.secrets))
	m.secrets = append(m.secrets, s)
	m.touch()
	return s
}

// URI is how databags name the secret.
func (s *Secret) URI() string { return "secret://" + modelUUID + "/" + s.id }

// ID is how a user names it; an option takes it behind "secret:".
func (s *Secret) ID() string { return s.id }

// Set makes another revision.
func (s *Secret) Set(content map[string]string) {
	s.change(func() { s.revisions = append(s.revisions, content) })
}

// Grant lets an application read the secret, and Revoke ends that. As in Juju, units hear of neither.
func (s *Secret) Grant(a *Application) { s.change(func() { s.granted[a] = true }) }

// Revoke is the end of Grant.
func (s *Secret) Revoke(a *Application) { s.change(func() { delete(s.granted, a) }) }

// Remove removes the secret.
func (s *Secret) Remove() { s.change(func() { s.removed = true }) }

func (s *Secret) change(change func()) {
	s.model.mu.Lock()
	defer s.model.mu.Unlock()
	change()
	s.model.touch()
}

// secretCalls are about secrets that units read. The model keeps none that units own.
func secretCalls() map[string]facadeCall {
	return map[string]facadeCall{
		"SecretsManager.GetSecretMetadata":                 always(params.ListSecretResults{}),
		"SecretsManager.WatchObsolete":                     watchNothing,
		"SecretsManager.WatchSecretsRotationChanges":       watchNoTrigger,
		"SecretsManager.WatchSecretRevisionsExpiryChanges": watchNoTrigger,
		"SecretsManager.GetConsumerSecretsRevisionInfo":    consumed,
		"SecretsManager.WatchConsumedSecretsChanges": each(func(c *call) (any, error) {
			u := c.unit
			return c.model.watchStrings(u, func() snapshot {
				seen := snapshot{}
				for uri, s := range u.consumes {
					// A unit hears nothing of the revision that a secret begins with.
					if len(s.revisions) > 1 {
						seen[uri] = strconv.Itoa(len(s.revisions))
					}
				}
				return seen
			}), nil
		}),
		"SecretsManager.GetSecretContentInfo": each(func(c *call) (any, error) {
			args, err := read[params.GetSecretContentArg](c)
			if err != nil {
				return nil, err
			}
			s, err := c.secret(args.URI)
			if err != nil {
				return nil, err
			}
			if !args.Refresh && len(s.revisions) > 1 {
				return nil, &params.Error{Code: params.CodeNotImplemented, Message: "the test's model gives the last revision only: refresh"}
			}
			c.unit.consumes[args.URI] = s
			data := map[string]string{}
			for key, value := range s.revisions[len(s.revisions)-1] {
				data[key] = base64.StdEncoding.EncodeToString([]byte(value))
			}
			return params.SecretContentResult{Content: params.SecretContentParams{Data: data}}, nil
		}),
	}
}

// secret is one that the unit may read.
func (c *call) secret(uri string) (*Secret, error) {
	for _, s := range c.model.secrets {
		switch {
		case !strings.HasSuffix(uri, s.id):
		case s.removed:
			return nil, &params.Error{Code: params.CodeNotFound, Message: fmt.Sprintf("secret %q not found", s.id)}
		case s.granted[c.unit.application], s.relation != nil && slices.Contains(c.unit.application.relationsOf(), s.relation):
			return s, nil
		}
	}
	return nil, &params.Error{Code: params.CodeUnauthorized, Message: "permission denied"}
}

func consumed(c *call) (any, error) {
	args, err := read[params.GetSecretConsumerInfoArgs](c)
	if err != nil {
		return nil, err
	}
	result := params.SecretConsumerInfoResults{}
	for _, uri := range args.URIs {
		s, err := c.secret(uri)
		if err != nil {
			result.Results = append(result.Results, params.SecretConsumerInfoResult{Error: refusal(err)})
			continue
		}
		result.Results = append(result.Results, params.SecretConsumerInfoResult{Revision: len(s.revisions)})
	}
	return result, nil
}
