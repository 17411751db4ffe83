package access

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/distribution/v3/registry/auth"
)

// A Refusal is why a request is not answered, and how that is told. It implements auth.Challenge.
type Refusal struct {
	// Code is what the client is told: errcode.ErrorCodeUnauthorized to sign in, ErrorCodeDenied that
	// signing in does not help, ErrorCodeTooManyRequests to come back.
	Code   errcode.ErrorCode
	reason string
	// problem is what is wrong with a token, in the words of RFC 6750.
	problem    string
	wanted     []auth.Access
	controller *Controller
}

// retryAfter is when to come back after ErrorCodeTooManyRequests.
const retryAfter = 10 * time.Second

// Error is for the log.
func (f *Refusal) Error() string { return f.reason }

// SetHeaders tells how to sign in, or when to come back.
func (f *Refusal) SetHeaders(r *http.Request, w http.ResponseWriter) {
	switch f.Code {
	case errcode.ErrorCodeUnauthorized:
		w.Header().Set("WWW-Authenticate", f.controller.challenge(r, f.problem, f.wanted))
	case errcode.ErrorCodeTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
}

func (f *Refusal) answer(r *http.Request, w http.ResponseWriter) {
	f.SetHeaders(r, w)
	_ = errcode.ServeJSON(w, f.Code.WithDetail(f.wanted)) // a client that is gone needs no answer
}

func (c *Controller) unauthorized(reason string, wanted ...auth.Access) *Refusal {
	return &Refusal{Code: errcode.ErrorCodeUnauthorized, reason: reason, wanted: wanted, controller: c}
}

func (c *Controller) invalid(cause error) *Refusal {
	refused := c.unauthorized("token is not valid: " + cause.Error())
	refused.problem = "invalid_token"
	return refused
}

// insufficient is for a token that was not made for what is wanted, though its user might have such a
// one. Clients take that for an order to fetch it.
func (c *Controller) insufficient(wanted ...auth.Access) *Refusal {
	refused := c.unauthorized("token was not made for this", wanted...)
	refused.problem = "insufficient_scope"
	return refused
}

// denied asks to sign in who has not. Who has would be asked for ever, so he is told no.
func (c *Controller) denied(who identity, wanted ...auth.Access) *Refusal {
	if who.user != "" {
		return &Refusal{Code: errcode.ErrorCodeDenied, wanted: wanted, controller: c,
			reason: "user " + strconv.Quote(shortened(who.user)) + " is not allowed this"}
	}
	if who.claims != nil {
		return c.insufficient(wanted...)
	}
	return c.unauthorized("not allowed without signing in", wanted...)
}

// verdict is why the request of a context was refused.
type verdict struct{ refused *Refusal }

type verdictKey struct{}

// noted leaves word for Corrected.
func noted(r *http.Request, err error) error {
	refused := (*Refusal)(nil)
	if !errors.As(err, &refused) {
		return err
	}
	count(refused.Code.Descriptor().Value)
	if v, ok := r.Context().Value(verdictKey{}).(*verdict); ok {
		v.refused = refused
	}
	return err
}

// Corrected has application refuse as the controller means it: distribution's answers every refusal with
// the status 401, after which a client that has signed in would do it again.
func Corrected(application http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := new(verdict)
		r = r.WithContext(context.WithValue(r.Context(), verdictKey{}, v))
		application.ServeHTTP(&correctedAnswer{ResponseWriter: w, request: r, verdict: v}, r)
	})
}

type correctedAnswer struct {
	http.ResponseWriter
	request   *http.Request
	verdict   *verdict
	corrected bool
}

// WriteHeader replaces the status 401 and what follows, if another was meant.
func (a *correctedAnswer) WriteHeader(status int) {
	refused := a.verdict.refused
	if status != http.StatusUnauthorized || refused == nil || refused.Code == errcode.ErrorCodeUnauthorized {
		a.ResponseWriter.WriteHeader(status)
		return
	}
	a.corrected = true
	refused.answer(a.request, a.ResponseWriter)
}

// Write drops the text that belonged to the status.
func (a *correctedAnswer) Write(p []byte) (int, error) {
	if a.corrected {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *correctedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
