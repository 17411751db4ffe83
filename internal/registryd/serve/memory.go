package serve

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// keep is how many bytes of manifests are kept in memory: some thousands of them.
	keep = 8 << 20
	// keepEach is the largest that is. Few are larger than 100 KiB, and one of 4 MiB is allowed.
	keepEach = 256 << 10
	// overhead is about what a manifest takes besides its bytes.
	overhead = 1 << 10
)

// Manifests holds the content of manifests by their digest, which never changes, so that it is right whoever else
// writes to the storage. Whether a repository has a manifest is not for it to know. It forgets those that were
// not asked for longest, and may be used by several goroutines.
type Manifests struct {
	mu     sync.Mutex
	recent *simplelru.LRU[string, *manifest]
	bytes  int
}

// NewManifests returns an empty one.
func NewManifests() *Manifests {
	m := &Manifests{}
	m.recent, _ = simplelru.NewLRU(math.MaxInt, func(_ string, forgotten *manifest) { // fails for no size only
		m.bytes -= len(forgotten.body) + overhead
	})
	return m
}

// get returns the manifest with these hex digits, nil if it is not held.
func (m *Manifests) get(hex string) *manifest {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, _ := m.recent.Get(hex)
	return known
}

func (m *Manifests) add(hex string, read *manifest) {
	if len(read.body) > keepEach {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.recent.Contains(hex) {
		return
	}
	m.recent.Add(hex, read)
	for m.bytes += len(read.body) + overhead; m.bytes > keep; {
		m.recent.RemoveOldest()
	}
}
