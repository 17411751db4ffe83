package docker

import (
	"context"

	"docker-registry-operator/internal/desired"
)

// Repositories asks the unit's running registry how many repositories its storage holds,
// if it serves with config.yml of this digest. The count is not known from an image
// without an admin socket, nor if nobody answers.
func (e *Engine) Repositories(ctx context.Context, unit, config string) desired.Count {
	own, err := e.own(ctx, unit)
	if err != nil {
		return desired.Count{}
	}
	for _, b := range own {
		if !b.running() || b.retiring() || b.labels[labelSocket] == "" {
			continue
		}
		if count := b.admin().Count(ctx, config); count.Known {
			return count
		}
	}
	return desired.Count{}
}
