package access

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// A lane lets a few in at a time, in the order in which they came.
type lane struct {
	turns   *semaphore.Weighted
	waiting atomic.Int64
	most    int64
}

func newLane(width, most int) *lane {
	return &lane{turns: semaphore.NewWeighted(int64(width)), most: int64(most)}
}

// enter waits for a turn. The error is errBusy if there is none before ctx ends, or if too many wait.
func (l *lane) enter(ctx context.Context) error {
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > l.most {
		return errBusy
	}
	if l.turns.Acquire(ctx, 1) != nil {
		return errBusy
	}
	return nil
}

// leave gives the turn to the next one after a rest.
func (l *lane) leave(rest time.Duration) {
	if rest == 0 {
		l.turns.Release(1)
		return
	}
	time.AfterFunc(rest, func() { l.turns.Release(1) })
}
