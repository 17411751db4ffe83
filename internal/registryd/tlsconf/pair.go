package tlsconf

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkInterval is how often, at most, handshakes look whether the files changed: a
// stat of each costs microseconds, but a busy registry sees thousands of handshakes.
const checkInterval = time.Second

// pair is a certificate with its key that follows its files.
type pair struct {
	certPath, keyPath string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	loaded  *tls.Certificate
	seen    [2]fileState
	checked time.Time
}

// fileState tells two versions of a file apart. The inode is in it because a file may
// be replaced twice within the resolution of the file system's clock.
type fileState struct {
	info os.FileInfo
}

func (s fileState) same(other fileState) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return os.SameFile(s.info, other.info) && s.info.ModTime().Equal(other.info.ModTime()) &&
		s.info.Size() == other.info.Size()
}

func loadPair(certPath, keyPath string, log *slog.Logger) (*pair, error) {
	p := &pair{certPath: certPath, keyPath: keyPath, log: log, now: time.Now}
	p.seen = p.stat()
	p.checked = p.now()
	loaded, err := tls.LoadX509KeyPair(certPath, keyPath)
	if err != nil {
		return nil, fmt.Errorf("cannot load certificate %q with key %q: %w", certPath, keyPath, err)
	}
	p.loaded = &loaded
	return p, nil
}

func (p *pair) stat() [2]fileState {
	var states [2]fileState
	for i, path := range []string{p.certPath, p.keyPath} {
		if info, err := os.Stat(path); err == nil {
			states[i].info = info
		}
	}
	return states
}

func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current(), nil }

// current returns the certificate, loaded anew if its files have changed. A pair that
// cannot be loaded, for instance because only one file of two is written yet, leaves the
// present one in place and is not tried again before a file changes once more.
func (p *pair) current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if now.Sub(p.checked) < checkInterval {
		return p.loaded
	}
	p.checked = now
	states := p.stat()
	if states[0].same(p.seen[0]) && states[1].same(p.seen[1]) {
		return p.loaded
	}
	p.seen = states
	loaded, err := tls.LoadX509KeyPair(p.certPath, p.keyPath)
	if err != nil {
		p.log.Warn("changed certificate not used", "certificate", p.certPath, "error", err)
		return p.loaded
	}
	p.log.Info("certificate changed", "certificate", p.certPath, "notAfter", loaded.Leaf.NotAfter)
	p.loaded = &loaded
	return p.loaded
}
