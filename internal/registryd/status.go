package registryd

import "time"

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
}

// TLSStatus is what is known of the certificate that is served.
type TLSStatus struct {
	// NotAfter is absent when certificates come from an ACME server.
	NotAfter time.Time `json:"notAfter,omitzero"`
}

// Status describes the server at this moment.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.current.Load()
	status := Status{
		Version:    s.options.Version,
		State:      StateServing,
		Generation: g.number,
		Config:     g.digest,
		Addr:       s.addr,
		Requests:   int(s.requests.Load()),
		Writes:     int(s.writes.Load()),
		Refused:    s.refused,
	}
	if s.ending() {
		status.State = StateRetiring
	}
	if g.tls != nil {
		status.TLS = &TLSStatus{NotAfter: g.tls.NotAfter()}
	}
	return status
}
