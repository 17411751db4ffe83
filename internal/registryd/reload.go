package registryd

import (
	"context"
	"errors"

	"docker-registry-operator/internal/registryd/journal"
	"docker-registry-operator/internal/registryd/listen"
)

// ErrEnding means that a reload was asked of a server that was told to stop.
var ErrEnding = errors.New("cannot reload: the registry is about to end")

// Reload reads the configuration again and serves by it from then on. If it returns an
// error nothing has changed, and Status tells the error until another reload.
func (s *Server) Reload() error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.ending() {
		return ErrEnding
	}
	err := s.reload()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = ""
	if err != nil {
		s.refused = err.Error()
		s.log.Error("configuration refused", "error", err)
	}
	return err
}

func (s *Server) reload() error {
	old := s.current.Load()
	next, err := s.build(s.options.Config, old.number+1, old)
	if err != nil {
		return err
	}
	opened, err := s.open(context.Background(), next)
	if err != nil {
		return errors.Join(err, next.close())
	}
	s.current.Store(next)
	journal.Adopt(next.logger)
	s.install(opened)
	s.log.Info("configuration reloaded", "generation", next.number, "config", next.digest)
	select {
	case s.changed <- struct{}{}:
	default: // a message that the purge has not read yet does as well
	}
	old.retire()
	s.closeDrained(old)
	return nil
}

// closeDrained closes g in the background when its last request is out.
func (s *Server) closeDrained(g *generation) {
	s.closing.Go(func() {
		<-g.drained
		if err := g.close(); err != nil {
			s.log.Warn("generation not closed cleanly", "error", err)
		}
	})
}

// sockets are those that a generation needs and the present one does not have.
type sockets struct {
	generation *generation
	main       *listen.Socket // nil to keep the present one
	debug      *listen.Socket // nil to keep the present one, or to have none
}

func (o sockets) close() error {
	var err error
	for _, socket := range []*listen.Socket{o.main, o.debug} {
		if socket != nil {
			err = errors.Join(err, socket.Close())
		}
	}
	return err
}

// open listens where next wants to and the server does not listen yet.
func (s *Server) open(ctx context.Context, next *generation) (sockets, error) {
	opened := sockets{generation: next}
	var err error
	if s.socket == nil || s.at.main != mainAddress(next) {
		if opened.main, err = listen.Open(ctx, next.HTTP.Net, next.HTTP.Addr); err != nil {
			return opened, err
		}
	}
	if s.at.debug != next.HTTP.Debug.Addr {
		if opened.debug, err = openDebug(ctx, next.HTTP.Debug.Addr); err != nil {
			return opened, errors.Join(err, opened.close())
		}
	}
	return opened, nil
}

// addresses are the places where a server listens, as they were configured.
type addresses struct{ main, debug string }

func mainAddress(g *generation) string { return g.HTTP.Net + " " + g.HTTP.Addr }

// install serves on the sockets that were opened and leaves those they replace.
func (s *Server) install(opened sockets) {
	g := opened.generation
	g.begin()
	if opened.main != nil {
		former := s.socket
		s.socket = opened.main
		s.front.serve(opened.main)
		s.mu.Lock()
		s.addr = opened.main.Address()
		s.mu.Unlock()
		if former != nil {
			s.front.leave(former)
		}
	}
	if s.debug != nil && s.at.debug != g.HTTP.Debug.Addr {
		s.endDebug()
	}
	if opened.debug != nil {
		s.debug = serveDebug(opened.debug, s.debugHandler(), s.log)
	}
	s.at = addresses{main: mainAddress(g), debug: g.HTTP.Debug.Addr}
}

func (s *Server) endDebug() {
	if s.debug == nil {
		return
	}
	if err := s.debug.close(); err != nil {
		s.log.Warn("debug port not closed cleanly", "error", err)
	}
	s.debug = nil
}
