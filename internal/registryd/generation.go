package registryd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	rights "docker-registry-operator/internal/registryd/access"
	"docker-registry-operator/internal/registryd/journal"
	"docker-registry-operator/internal/registryd/oci"
	"docker-registry-operator/internal/registryd/tlsconf"
	"docker-registry-operator/internal/registryd/upstream"
)

// generation is everything that one version of the configuration brought into being,
// apart from the sockets. Requests enter it and leave it; when it is retired and the
// last one has left, it is gone without a trace.
type generation struct {
	file
	number int
	logger *logrus.Entry
	tls    *tlsconf.Setup
	app    *application
	gate   *gate
	// rights is the server's own control of access, nil if the configuration wants none or another.
	rights *rights.Controller
	// upstream is what the registry is a cache of, nil if it is none.
	upstream *upstream.Upstream
	// oci stands before app.
	oci     *oci.Server
	started time.Time
	served  atomic.Bool
	sink    *sink
	purge   purgePolicy
	handler http.Handler
	debug   http.Handler

	mu      sync.Mutex
	active  int
	retired bool
	drained chan struct{}
}

// build makes the generation that path describes at this moment. If it fails nothing is
// left behind.
func (s *Server) build(path string, number int, previous *generation) (*generation, error) {
	g, err := s.read(path, number)
	if err != nil {
		return nil, err
	}
	g.app = &application{log: g.logger, served: g.served.Load, state: &s.schedulerState}
	if previous != nil && sameMemory(previous, g) {
		g.app.substitute = previous.app.driver
	}
	conf := forApp(g.Configuration, s.secret, g.upstream)
	conf.Auth = rights.Equip(conf, s.memory, g.logger)
	if err := g.app.build(journal.WithLogger(context.Background(), g.logger), conf); err != nil {
		return nil, fmt.Errorf("cannot build the registry: %w", err)
	}
	g.sink = s.notifier.acquire(g.Notifications)
	if err := g.surround(); err != nil {
		return nil, errors.Join(err, g.close())
	}
	hideSecrets()
	g.handler = g.chain(s.journal.Out(), s.manifests)
	g.debug = g.debugMux()
	return g, nil
}

// read makes of the file at path what the application is built with. Nothing is started.
func (s *Server) read(path string, number int) (*generation, error) {
	conf, err := readFile(path)
	if err != nil {
		return nil, err
	}
	g := &generation{file: conf, number: number, started: time.Now(), drained: make(chan struct{})}
	if g.logger, err = s.journal.Logger(conf.Log); err != nil {
		return nil, err
	}
	if g.purge, err = parsePurge(conf.Storage["maintenance"]); err != nil {
		return nil, err
	}
	if g.tls, err = s.issuers.For(conf.HTTP, s.log); err != nil {
		return nil, err
	}
	g.upstream, err = s.newUpstream(conf.Proxy)
	return g, err
}

// surround makes what stands before the application and behind it. The gate takes the access
// controller as it is, before it names users.
func (g *generation) surround() (err error) {
	if g.gate, err = newGate(g.app, g.logger); err != nil {
		return err
	}
	g.rights, _ = g.gate.controller.(*rights.Controller)
	if err := g.app.redirectEvents(g.sink); err != nil {
		return fmt.Errorf("cannot send notifications: %w", err)
	}
	if g.oci, err = g.newOCI(); err != nil {
		return err
	}
	return nameUsers(g.app)
}

// sameMemory reports whether both keep images in memory: these would be lost if a reload
// made a new driver.
func sameMemory(previous, next *generation) bool {
	const inMemory = "inmemory"
	return previous.Storage.Type() == inMemory && next.Storage.Type() == inMemory
}

// begin tells the generation that it serves from now on.
func (g *generation) begin() {
	g.served.Store(true)
	g.prepareCatalog()
	if g.upstream != nil {
		g.upstream.Watch()
	}
}

// enter counts a request in, unless the generation is retired.
func (g *generation) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.retired {
		return false
	}
	g.active++
	return true
}

func (g *generation) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active--
	g.signal()
}

// retire lets no further request in. The channel drained is closed when the last one is
// out.
func (g *generation) retire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retired = true
	g.signal()
}

func (g *generation) signal() {
	if g.retired && g.active == 0 {
		close(g.drained)
	}
}

// close ends what the generation runs in the background.
func (g *generation) close() error {
	if g.upstream != nil {
		g.upstream.Close()
	}
	err := g.app.close()
	g.sink.release()
	if err != nil {
		return fmt.Errorf("cannot end generation %d: %w", g.number, err)
	}
	return nil
}
