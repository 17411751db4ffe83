package juju

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/juju/juju/rpc/params"
)

// A Secret is owned by an application that the test plays, and granted over one relation.
type Secret struct {
	relation *Relation
	id       string

	// All below is under the model's lock.

	revisions []map[string]string // contents
}

// AddSecret makes a secret of the other application, which the application's units may read as long
// as the relation is there.
func (r *Relation) AddSecret(content map[string]string) *Secret {
	r.model.mu.Lock()
	defer r.model.mu.Unlock()
	s := &Secret{relation: r, id: fmt.Sprintf("cr2b8ke5v7qc7ahm%04d", len(r.model.secrets)), revisions: []map[string]string{content}}
	r.model.secrets = append(r.model.secrets, s)
	r.model.touch()
	return s
}

// URI is how databags name the secret.
func (s *Secret) URI() string { return "secret://" + modelUUID + "/" + s.id }

// Set makes another revision.
func (s *Secret) Set(content map[string]string) {
	s.relation.model.mu.Lock()
	defer s.relation.model.mu.Unlock()
	s.revisions = append(s.revisions, content)
	s.relation.model.touch()
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
	for _, r := range c.unit.application.relationsOf() {
		for _, s := range c.model.secrets {
			if s.relation == r && strings.HasSuffix(uri, s.id) {
				return s, nil
			}
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
