package native

import (
	"context"

	"docker-registry-operator/internal/desired"
)

// Repositories asks the unit's running registry how many repositories its storage holds,
// if it serves with config.yml of this digest. The count is not known if nobody answers.
func (h *Host) Repositories(ctx context.Context, unit, config string) desired.Count {
	own, err := h.services(unit)
	if err != nil {
		return desired.Count{}
	}
	for _, s := range own {
		if count := s.admin().Count(ctx, config); count.Known {
			return count
		}
	}
	return desired.Count{}
}
