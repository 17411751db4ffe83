package registryd

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/notifications"
	events "github.com/docker/go-events"
)

// flushTimeout bounds how long the queue of an endpoint that is no longer wanted tries to
// deliver what it holds. An endpoint that restarts is usually back within it.
const flushTimeout = time.Minute

// notifier keeps the notification endpoints of all generations. An endpoint that two
// generations name alike is one endpoint, so that events which wait for it survive a
// reload and stay in order.
type notifier struct {
	log *slog.Logger

	mu        sync.Mutex
	endpoints map[string]*endpoint
	closing   sync.WaitGroup
	hurry     chan struct{}
}

func newNotifier(log *slog.Logger) *notifier {
	return &notifier{log: log, endpoints: make(map[string]*endpoint), hurry: make(chan struct{})}
}

// endpoint is a queue of distribution with a way to give it up: left alone, it retries
// for ever.
type endpoint struct {
	*notifications.Endpoint
	transport *abandonable
	uses      int
}

// abandonable is a transport that, once abandoned, answers requests itself.
type abandonable struct {
	abandoned chan struct{}
}

// RoundTrip sends r the usual way, or nowhere if the transport is abandoned.
func (a *abandonable) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-a.abandoned:
		return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
	default:
		return nil, http.ErrSkipAltProtocol
	}
}

// acquire returns a sink for the events of one generation.
func (n *notifier) acquire(conf configuration.Notifications) *sink {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &sink{notifier: n}
	for _, wanted := range conf.Endpoints {
		if wanted.Disabled {
			continue
		}
		key := fmt.Sprintf("%q %q %v %v %v %v", wanted.Name, wanted.URL, wanted.Headers,
			wanted.Timeout, wanted.Threshold, wanted.Backoff)
		if n.endpoints[key] == nil {
			n.endpoints[key] = newEndpoint(wanted)
		}
		n.endpoints[key].uses++
		s.targets = append(s.targets, target{
			key:            key,
			queue:          n.endpoints[key],
			ignoredTypes:   slices.Concat(wanted.Ignore.MediaTypes, wanted.IgnoredMediaTypes),
			ignoredActions: wanted.Ignore.Actions,
		})
	}
	return s
}

func newEndpoint(conf configuration.Endpoint) *endpoint {
	gate := &abandonable{abandoned: make(chan struct{})}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
	transport.RegisterProtocol("http", gate)
	transport.RegisterProtocol("https", gate)
	queue := notifications.NewEndpoint(conf.Name, conf.URL, notifications.EndpointConfig{
		Timeout:   conf.Timeout,
		Threshold: conf.Threshold,
		Backoff:   conf.Backoff,
		Headers:   conf.Headers,
		Transport: transport,
	})
	return &endpoint{Endpoint: queue, transport: gate}
}

// finish delivers what the queue holds, or gives up after flushTimeout or when the
// process is in a hurry.
func (n *notifier) finish(e *endpoint) {
	closed := make(chan error, 1)
	go func() { closed <- e.Close() }()
	var err error
	select {
	case err = <-closed:
	case <-time.After(flushTimeout):
		err = n.abandon(e, closed)
	case <-n.hurry:
		err = n.abandon(e, closed)
	}
	e.Transport.CloseIdleConnections()
	if err != nil {
		n.log.Warn("notification endpoint not closed", "endpoint", e.Name(), "error", err)
	}
}

func (n *notifier) abandon(e *endpoint, closed <-chan error) error {
	var left notifications.EndpointMetrics
	e.ReadMetrics(&left)
	n.log.Warn("notifications dropped", "endpoint", e.Name(), "pending", left.Pending)
	close(e.transport.abandoned)
	return <-closed
}

// sink hands the events of one generation to its endpoints. It never blocks.
type sink struct {
	notifier *notifier
	targets  []target
}

type target struct {
	key            string
	queue          *endpoint
	ignoredTypes   []string
	ignoredActions []string
}

// Write queues event for each endpoint that wants it.
func (s *sink) Write(event events.Event) error {
	for _, t := range s.targets {
		if e, ok := event.(notifications.Event); ok &&
			(slices.Contains(t.ignoredTypes, e.Target.MediaType) || slices.Contains(t.ignoredActions, e.Action)) {
			continue
		}
		if err := t.queue.Write(event); err != nil {
			s.notifier.log.Error("notification lost", "endpoint", t.queue.Name(), "error", err)
		}
	}
	return nil
}

// Close does nothing: the endpoints may serve another generation. See release.
func (s *sink) Close() error { return nil }

// release tells that the generation is gone. Endpoints that no other one uses are closed
// in the background.
func (s *sink) release() {
	n := s.notifier
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range s.targets {
		t.queue.uses--
		if t.queue.uses == 0 {
			delete(n.endpoints, t.key)
			n.closing.Go(func() { n.finish(t.queue) })
		}
	}
}

// close waits for all queues that were released, at most for patience.
func (n *notifier) close(patience time.Duration) {
	timer := time.AfterFunc(patience, func() { close(n.hurry) })
	defer timer.Stop()
	n.closing.Wait()
}
