package registryd

import (
	"context"
	"time"

	"docker-registry-operator/internal/registryd/upstream"
)

// State is what a server is doing.
type State string

// A server is StateServing until it is told to stop, then StateRetiring.
const (
	StateServing  State = "serving"
	StateRetiring State = "retiring"
)

// Status is what the admin socket tells of a server.
type Status struct {
	Version    string `json:"version"`
	State      State  `json:"state"`
	Generation int    `json:"generation"`
	// Config is the digest of the bytes of the configuration file that is in force.
	Config string `json:"config"`
	// Addr is where clients are served, with the port that the kernel chose if the
	// configuration says 0.
	Addr string `json:"addr"`
	// TLS is nil over plain HTTP.
	TLS *TLSStatus `json:"tls,omitempty"`
	// Requests is how many are being answered at this moment.
	Requests int `json:"requests"`
	// Writes is how many of them may change what is stored.
	Writes int `json:"writes"`
	// Refused says why the last reload was refused; it is empty if it was not.
	Refused string `json:"refused,omitempty"`
	// Upstream is nil unless the registry is a pull-through cache whose upstream cannot
	// be used.
	Upstream *UpstreamStatus `json:"upstream,omitempty"`
	// Failing are the health checks that fail, with their reasons.
	Failing map[string]string `json:"failing,omitempty"`
}

// UpstreamStatus is what is wrong with the upstream of a pull-through cache.
type UpstreamStatus struct {
	Problem upstream.Problem `json:"problem"`
	Reason  string           `json:"reason"`
}

// firstProbe bounds how long a status of a generation that has just begun waits for
// what its upstream answers. Nobody waits for it later.
const firstProbe = time.Second

// TLSStatus is what is known of the certificate that is served.
type TLSStatus struct {
	// NotAfter is absent when certificates come from an ACME server.
	NotAfter time.Time `json:"notAfter,omitzero"`
}

// Status describes the server at this moment.
func (s *Server) Status() Status {
	g := s.current.Load()
	from := upstreamStatus(g)
	s.mu.Lock()
	defer s.mu.Unlock()
	status := Status{
		Version:    s.options.Version,
		State:      StateServing,
		Generation: g.number,
		Config:     g.digest,
		Addr:       s.addr,
		Requests:   int(s.requests.Load()),
		Writes:     int(s.writes.Load()),
		Refused:    s.refused,
		Upstream:   from,
	}
	if failing := g.app.health.CheckStatus(context.Background()); len(failing) > 0 {
		status.Failing = failing
	}
	if s.ending() {
		status.State = StateRetiring
	}
	if g.tls != nil {
		status.TLS = &TLSStatus{NotAfter: g.tls.NotAfter()}
	}
	return status
}

func upstreamStatus(g *generation) *UpstreamStatus {
	if g.upstream == nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), g.started.Add(firstProbe))
	defer cancel()
	health := g.upstream.Health(ctx)
	if health.Problem == upstream.None {
		return nil
	}
	return &UpstreamStatus{Problem: health.Problem, Reason: health.Reason}
}
