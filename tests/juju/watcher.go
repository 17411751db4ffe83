package juju

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/juju/juju/rpc/params"
)

// A snapshot is what a watcher watches: each thing of interest with a text that differs when it does.
type snapshot map[string]string

// A watcher tells an agent how something differs from what it was told last.
type watcher struct {
	id      string
	unit    *Unit
	observe func() snapshot
	render  func(before, now snapshot) any
	seen    snapshot
	waiting bool
	stopped bool
}

// watch makes a watcher for a unit's agent and returns its identity with the first thing to tell.
func (m *Model) watch(u *Unit, observe func() snapshot, render func(before, now snapshot) any) (string, any) {
	m.lastWatcher++
	w := &watcher{
		id: strconv.Itoa(m.lastWatcher), unit: u, observe: observe, render: render, seen: observe(),
	}
	m.watchers[w.id] = w
	return w.id, render(nil, w.seen)
}

// next blocks until there is something to tell.
func (m *Model) next(ctx context.Context, id string) (any, error) {
	m.mu.Lock()
	w, ok := m.watchers[id]
	m.mu.Unlock()
	if !ok {
		return nil, &params.Error{Code: params.CodeNotFound, Message: "unknown watcher"}
	}
	var result any
	err := m.await(ctx, func() (bool, error) {
		if w.stopped {
			return false, &params.Error{Code: params.CodeStopped, Message: "watcher was stopped"}
		}
		now := w.observe()
		w.waiting = maps.Equal(now, w.seen)
		if w.waiting {
			return false, nil
		}
		result = w.render(w.seen, now)
		w.seen = now
		return true, nil
	})
	return result, err
}

// quiet says whether the agent waits for a change and there is none.
func (w *watcher) quiet() bool { return w.waiting && maps.Equal(w.observe(), w.seen) }

func (m *Model) stopWatcher(id string) {
	if w, ok := m.watchers[id]; ok {
		w.stopped = true
		delete(m.watchers, id)
		m.touch()
	}
}

// stopWatchers forgets the watchers of a unit whose agent is gone.
func (m *Model) stopWatchers(u *Unit) {
	for id, w := range m.watchers {
		if w.unit == u {
			m.stopWatcher(id)
		}
	}
}

// differing returns the keys whose text is not the same in both, sorted.
func differing(before, now snapshot) []string {
	var keys []string
	for key, text := range now {
		if old, ok := before[key]; !ok || old != text {
			keys = append(keys, key)
		}
	}
	for key := range before {
		if _, ok := now[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// watchNotify watches one thing and tells no more than that it changed.
func (m *Model) watchNotify(u *Unit, fingerprint func() string) params.NotifyWatchResult {
	id, _ := m.watch(u, func() snapshot { return snapshot{"": fingerprint()} }, func(_, _ snapshot) any { return nil })
	return params.NotifyWatchResult{NotifyWatcherId: id}
}

// watchHash watches one thing and tells the text that stands for it.
func (m *Model) watchHash(u *Unit, fingerprint func() string) params.StringsWatchResult {
	id, first := m.watch(u, func() snapshot { return snapshot{"": fingerprint()} }, func(_, now snapshot) any {
		return params.StringsWatchResult{Changes: []string{now[""]}}
	})
	return withID(first.(params.StringsWatchResult), id)
}

// watchStrings watches many things and tells which changed, came or went.
func (m *Model) watchStrings(u *Unit, observe func() snapshot) params.StringsWatchResult {
	id, first := m.watch(u, observe, func(before, now snapshot) any {
		return params.StringsWatchResult{Changes: differing(before, now)}
	})
	return withID(first.(params.StringsWatchResult), id)
}

func withID(result params.StringsWatchResult, id string) params.StringsWatchResult {
	result.StringsWatcherId = id
	return result
}
