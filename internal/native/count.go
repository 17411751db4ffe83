package native

import (
	"context"
	"time"

	"docker-registry-operator/internal/desired"
)

// countTimeout bounds the counting of repositories, for which a registry takes 20 s.
const countTimeout = 30 * time.Second

// Repositories asks the unit's running registry how many repositories its storage holds,
// if it serves with config.yml of this digest. The count is not known if nobody answers.
func (h *Host) Repositories(ctx context.Context, unit, config string) desired.Count {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	own, err := h.services(unit)
	if err != nil {
		return desired.Count{}
	}
	for _, s := range own {
		counted, err := s.admin().Repositories(ctx)
		if err == nil && counted.Config == config {
			return desired.Count{Known: true, Repositories: counted.Count, More: counted.More}
		}
	}
	return desired.Count{}
}
