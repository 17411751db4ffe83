package registryd

import (
	"encoding/json"
	"net/http"

	"github.com/distribution/distribution/v3/registry/api/errcode"
)

// knows checks the client's certificate again if its connection is older than the generation: a
// change of the authorities must not wait until a client closes its connection. A client that is
// known no more is told to open another, by which it can show another certificate (RFC 9110,
// section 15.5.20); the others notice nothing.
func (g *generation) knows(w http.ResponseWriter, r *http.Request) bool {
	c := connectionOf(r.Context())
	if c.verified.Load() == g.tls {
		return true
	}
	if err := g.tls.Verify(r.TLS); err != nil {
		g.logger.WithError(err).WithField("address", r.RemoteAddr).Warn("connection from before the reload refused")
		refuseConnection(w)
		return false
	}
	c.verified.Store(g.tls)
	return true
}

func refuseConnection(w http.ResponseWriter) {
	refusal := errcode.Errors{errcode.Error{
		Code:    errcode.ErrorCodeDenied,
		Message: "client certificates are checked anew: open another connection",
	}}
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusMisdirectedRequest)
	_ = json.NewEncoder(w).Encode(refusal) // a client that is gone needs no answer
}
