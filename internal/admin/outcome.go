package admin

import (
	"context"
	"fmt"
	"time"

	"docker-registry-operator/internal/desired"
)

// countTimeout bounds the counting of repositories, for which a registry takes 20 s.
const countTimeout = 30 * time.Second

// Accept puts what a registry that serves says of itself into an outcome, if it serves with
// the config.yml of this digest.
func (s Status) Accept(config string, outcome *desired.Outcome) error {
	if s.Config != config {
		return fmt.Errorf("registry serves configuration %s although %s was written", s.Config, config)
	}
	outcome.Version, outcome.Writing, outcome.Failing = s.Version, s.Writes > 0, s.Failing
	if from := s.Upstream; from != nil {
		outcome.Upstream = desired.Upstream{Problem: desired.UpstreamProblem(from.Problem), Reason: from.Reason}
	}
	return nil
}

// Count is how many repositories the registry's storage holds, if it serves with the
// config.yml of this digest; else, and if it does not answer, it is not known.
func (c Client) Count(ctx context.Context, config string) desired.Count {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	counted, err := c.Repositories(ctx)
	if err != nil || counted.Config != config {
		return desired.Count{}
	}
	return desired.Count{Known: true, Repositories: counted.Count, More: counted.More}
}
