// Package registryd is the registry server: distribution's application behind sockets
// that outlive it, so that a new configuration takes over without a client noticing. It
// knows nothing of who writes the configuration; signals, flags and exit codes are left
// to the command.
package registryd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/sirupsen/logrus"

	rights "docker-registry-operator/internal/registryd/access"
	"docker-registry-operator/internal/registryd/journal"
	"docker-registry-operator/internal/registryd/limit"
	"docker-registry-operator/internal/registryd/listen"
	"docker-registry-operator/internal/registryd/serve"
	"docker-registry-operator/internal/registryd/tlsconf"
)

// Options are what Start needs to know.
type Options struct {
	// Config is the path of a configuration file of distribution, read at every reload.
	Config string
	// Admin is the path of the admin socket; without one there is none.
	Admin string
	// Version is told to those who ask for the status.
	Version string
	// Log receives the log and the access log.
	Log io.Writer
}

// Server serves a registry. Its methods may be called by several goroutines.
type Server struct {
	options  Options
	secret   string
	memory   *rights.Memory
	journal  *journal.Journal
	log      *slog.Logger
	issuers  tlsconf.Issuers
	notifier *notifier
	front    *front
	admin    *admin
	requests atomic.Int64
	writes   atomic.Int64
	current  atomic.Pointer[generation]

	// reloading serializes reloads and the end of the server.
	reloading sync.Mutex
	socket    *listen.Socket
	at        addresses
	debug     *debugServer
	changed   chan struct{}
	stopPurge context.CancelFunc
	closing   sync.WaitGroup // former generations, purge and sockets

	schedulerState sync.Mutex // guards that of a pull-through cache

	manifests *serve.Manifests // of all generations

	mu      sync.Mutex // guards what Status reads
	addr    string
	refused string

	retire  chan struct{}
	retired sync.Once
	stopped atomic.Bool
}

// Start reads the configuration, opens the sockets and serves in the background. Wait
// must be called in the end.
func Start(ctx context.Context, options Options) (*Server, error) {
	s := newServer(options)
	handler, err := traced(ctx, http.HandlerFunc(s.serveHTTP))
	if err != nil {
		return nil, err
	}
	descriptors, err := limit.Descriptors()
	if err != nil {
		return nil, err
	}
	first, err := s.build(options.Config, 1, nil)
	if err != nil {
		return nil, err
	}
	s.current.Store(first)
	opened, err := s.open(ctx, first)
	if err != nil {
		return nil, errors.Join(err, first.close())
	}
	if options.Admin != "" {
		if s.admin, err = s.openAdmin(ctx, options.Admin); err != nil {
			return nil, errors.Join(err, opened.close(), first.close())
		}
	}
	journal.Adopt(first.logger)
	s.front = newFront(s.log, s.transport, limit.For(descriptors), handler)
	s.startPurge()
	s.install(opened)
	s.log.Info("serving", "address", s.addr, "tls", first.tls != nil, "config", first.digest)
	return s, nil
}

func newServer(options Options) *Server {
	s := &Server{
		options: options,
		secret:  newSecret(),
		memory:  rights.NewMemory(),
		journal: journal.New(options.Log),
		changed: make(chan struct{}, 1),
		retire:  make(chan struct{}),
	}
	s.manifests = serve.NewManifests()
	fallback := &logrus.Logger{Out: s.journal.Out(), Formatter: new(logrus.JSONFormatter), Level: logrus.InfoLevel}
	journal.Adopt(logrus.NewEntry(fallback))
	s.log = journal.Slog(func() *logrus.Entry {
		if g := s.current.Load(); g != nil {
			return g.logger
		}
		return logrus.NewEntry(fallback)
	})
	s.notifier = newNotifier(s.log)
	return s
}

// Check builds all that Start would build from the configuration at path and takes it
// down again. It listens nowhere and writes no log.
func Check(path string) error {
	s := newServer(Options{Config: path, Log: io.Discard})
	g, err := s.build(path, 1, nil)
	if err != nil {
		return err
	}
	err = g.close()
	s.notifier.close(0)
	return err
}

// serveHTTP hands a request to the generation that is current when it arrives.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	defer s.requests.Add(-1)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.writes.Add(1)
		defer s.writes.Add(-1)
	}
	g := s.current.Load()
	for !g.enter() {
		g = s.current.Load()
	}
	defer g.leave()
	if g.knows(w, r) {
		g.handler.ServeHTTP(w, r)
	}
}

func (s *Server) transport() transport {
	g := s.current.Load()
	return transport{tls: g.tls, h2c: g.HTTP.H2C.Enabled}
}

func (s *Server) startPurge() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopPurge = cancel
	s.closing.Go(func() {
		purge(ctx, s.changed, func() (purgePolicy, storagedriver.StorageDriver) {
			g := s.current.Load()
			return g.purge, g.app.driver
		})
	})
}

func (s *Server) ending() bool {
	select {
	case <-s.retire:
		return true
	default:
		return s.stopped.Load()
	}
}
