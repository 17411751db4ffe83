package registryd

import (
	"context"
	"errors"
	"time"
)

const (
	// retireTimeout bounds how long a retired server finishes its requests. A pull of a
	// 10 GB layer over 100 Mbit/s takes about 15 minutes.
	retireTimeout = 20 * time.Minute
	// stopTimeout does the same for one that was told to stop and whose configuration
	// has no http.draintimeout.
	stopTimeout = time.Minute
	// notificationPatience is how long the end waits for notifications to go out.
	notificationPatience = 5 * time.Second
	// closePatience is how long the end waits for requests that were broken off to
	// notice it, and for what runs in the background.
	closePatience = 5 * time.Second
	// adminPatience is how long the end waits for requests on the admin socket, and for
	// traces to go out.
	adminPatience = time.Second
)

// Retire makes the server hand its port over and end when it has finished its requests.
// It returns at once; Wait returns when the server has ended.
func (s *Server) Retire() {
	s.retired.Do(func() { close(s.retire) })
}

// Wait serves until ctx ends or Retire is called, and then until the running requests
// are finished, which the configuration bounds in the first case and 20 minutes in the
// second. The end of ctx also cuts retiring short to that bound.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-s.retire:
	}
	retiring := ctx.Err() == nil
	s.reloading.Lock() // a reload under way is finished, the next one refused
	s.stopped.Store(true)
	s.reloading.Unlock()
	s.log.Info("ending", "retiring", retiring)
	bounded, cancel := s.bound(ctx, retiring)
	defer cancel()
	if retiring {
		s.front.handOver(bounded, s.socket)
	} else {
		s.front.leave(s.socket)
	}
	err := s.front.shutdown(bounded)
	return errors.Join(err, s.close())
}

// bound returns a context that ends when running requests shall be broken off.
func (s *Server) bound(ctx context.Context, retiring bool) (context.Context, context.CancelFunc) {
	grace := s.current.Load().HTTP.DrainTimeout
	if grace == 0 {
		grace = stopTimeout
	}
	if !retiring {
		return context.WithTimeout(context.Background(), grace)
	}
	bounded, cancel := context.WithTimeout(context.Background(), retireTimeout)
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(bounded, func() { timer.Stop() })
	})
	return bounded, func() { stop(); cancel() }
}

// close ends what does not serve clients.
func (s *Server) close() error {
	s.stopPurge()
	s.endDebug()
	last := s.current.Load()
	last.retire()
	s.closeDrained(last)
	err := s.awaitClosed()
	s.notifier.close(notificationPatience)
	ctx, cancel := context.WithTimeout(context.Background(), adminPatience)
	defer cancel()
	if err := flushTraces(ctx); err != nil {
		s.log.Warn("traces lost", "error", err)
	}
	if s.admin != nil {
		err = errors.Join(err, s.admin.close(ctx))
	}
	s.log.Info("ended")
	return err
}

// awaitClosed waits until all generations are closed.
func (s *Server) awaitClosed() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.closing.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-time.After(closePatience):
		return errors.New("cannot end all requests that were broken off")
	}
}
