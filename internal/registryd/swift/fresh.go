package swift

import (
	"strings"
	"sync"
	"time"
)

// freshness is for how long Swift may not know what was written: its listings and, on a
// cluster that has lost a node, even the objects themselves come later.
// https://docs.openstack.org/swift/latest/overview_architecture.html
const freshness = 15 * time.Second

// fresh remembers the objects that were written a moment ago, so that one that is not
// there yet can be told from one that does not exist.
type fresh struct {
	mu      sync.Mutex
	written map[string]time.Time
	swept   time.Time
}

func newFresh() *fresh { return &fresh{written: map[string]time.Time{}} }

func (f *fresh) add(object string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.written[object] = now
	if now.Sub(f.swept) < freshness {
		return
	}
	f.swept = now
	for object, at := range f.written {
		if now.Sub(at) >= freshness {
			delete(f.written, object)
		}
	}
}

func (f *fresh) remove(object string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.written, object)
}

func (f *fresh) has(object string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.written[object]
	return ok && time.Since(at) < freshness
}

// under are the fresh objects whose names begin with prefix.
func (f *fresh) under(prefix string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var objects []string
	for object, at := range f.written {
		if strings.HasPrefix(object, prefix) && time.Since(at) < freshness {
			objects = append(objects, object)
		}
	}
	return objects
}
