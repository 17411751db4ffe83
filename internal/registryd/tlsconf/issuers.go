package tlsconf

import (
	"strings"
	"sync"

	"github.com/distribution/distribution/v3/configuration"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Issuers keeps one client for each ACME account that a configuration has named: a
// client renews certificates by itself and cannot be stopped, so a reload that changes
// nothing of it must not make another. The zero value is ready; use one a process.
type Issuers struct {
	mu       sync.Mutex
	managers map[string]*autocert.Manager
}

func (i *Issuers) manager(conf configuration.LetsEncrypt) *autocert.Manager {
	key := strings.Join(append([]string{conf.CacheFile, conf.Email, conf.DirectoryURL}, conf.Hosts...), "\x00")
	i.mu.Lock()
	defer i.mu.Unlock()
	if manager, ok := i.managers[key]; ok {
		return manager
	}
	manager := &autocert.Manager{
		HostPolicy: autocert.HostWhitelist(conf.Hosts...),
		Cache:      autocert.DirCache(conf.CacheFile),
		Email:      conf.Email,
		Prompt:     autocert.AcceptTOS,
	}
	if conf.DirectoryURL != "" {
		manager.Client = &acme.Client{DirectoryURL: conf.DirectoryURL}
	}
	if i.managers == nil {
		i.managers = make(map[string]*autocert.Manager)
	}
	i.managers[key] = manager
	return manager
}
