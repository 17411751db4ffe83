package registryd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/sirupsen/logrus"

	"docker-registry-operator/internal/registryd/journal"
	"docker-registry-operator/internal/registryd/tlsconf"
)

// generation is everything that one version of the configuration brought into being,
// apart from the sockets. Requests enter it and leave it; when it is retired and the
// last one has left, it is gone without a trace.
type generation struct {
	file
	number  int
	logger  *logrus.Entry
	tls     *tlsconf.Setup
	app     *application
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
	conf, err := readFile(path)
	if err != nil {
		return nil, err
	}
	g := &generation{file: conf, number: number, drained: make(chan struct{})}
	if g.logger, err = s.journal.Logger(conf.Log); err != nil {
		return nil, err
	}
	if g.purge, err = parsePurge(conf.Storage["maintenance"]); err != nil {
		return nil, err
	}
	if g.tls, err = s.issuers.For(conf.HTTP, s.log); err != nil {
		return nil, err
	}
	ctx := journal.WithLogger(context.Background(), g.logger)
	if err := checkProxy(ctx, conf.Proxy); err != nil {
		return nil, err
	}
	g.app = &application{owner: func() bool { return s.owns(g) }}
	if previous != nil && sameMemory(previous, g) {
		g.app.substitute = previous.app.driver
	}
	if err := g.app.build(ctx, forApp(conf.Configuration, s.secret)); err != nil {
		return nil, fmt.Errorf("cannot build the registry: %w", err)
	}
	g.sink = s.notifier.acquire(conf.Notifications)
	if err := g.app.redirectEvents(g.sink); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot send notifications: %w", err), g.close())
	}
	hideSecrets()
	g.handler = g.chain(s.journal.Out())
	g.debug = g.debugMux()
	return g, nil
}

// sameMemory reports whether both keep images in memory: these would be lost if a reload
// made a new driver.
func sameMemory(previous, next *generation) bool {
	const inMemory = "inmemory"
	return previous.Storage.Type() == inMemory && next.Storage.Type() == inMemory
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
	err := g.app.close()
	g.sink.release()
	if err != nil {
		return fmt.Errorf("cannot end generation %d: %w", g.number, err)
	}
	return nil
}
