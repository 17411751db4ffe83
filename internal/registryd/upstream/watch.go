package upstream

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Problem is what is wrong with an upstream.
type Problem string

// What may be wrong with an upstream.
const (
	// None is also that of an upstream which was not asked yet.
	None Problem = ""
	// Unanswered is an upstream that cannot be reached, or not be used at the moment.
	Unanswered Problem = "unanswered"
	// Unauthorized is an upstream that refuses the credentials, or asks for some where
	// there are none.
	Unauthorized Problem = "unauthorized"
)

// Health is how an upstream was when it was last asked.
type Health struct {
	Problem Problem
	// Reason is the cause in few words, without secrets.
	Reason string
}

const (
	// probeTimeout bounds one question.
	probeTimeout = 10 * time.Second
	// steady is the time between two questions to an upstream that is well.
	steady = time.Minute
	// wary is that to one that refuses the credentials: it may lock the account.
	wary = 5 * time.Minute
	// impatient is the time between two questions to an upstream that does not answer,
	// and the least between any two.
	impatient = 5 * time.Second
)

// Watch asks the upstream now and then how it is, until Close. It is called once.
func (u *Upstream) Watch() {
	ctx, cancel := context.WithCancel(context.Background())
	u.mu.Lock()
	u.cancel = cancel
	u.mu.Unlock()
	u.ended.Go(func() { u.watch(ctx) })
}

// Close ends what Watch has begun.
func (u *Upstream) Close() {
	u.mu.Lock()
	cancel := u.cancel
	u.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	u.ended.Wait()
	u.client.CloseIdleConnections()
}

// Health is the last that is known of the upstream. It is waited for until ctx ends
// if the upstream was not asked yet.
func (u *Upstream) Health(ctx context.Context) Health {
	select {
	case <-u.first:
	case <-ctx.Done():
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.health
}

func (u *Upstream) watch(ctx context.Context) {
	known := false
	for {
		health := u.probe(ctx)
		if ctx.Err() != nil {
			return
		}
		u.record(health)
		if !known {
			known = true
			close(u.first)
		}
		if !u.rest(ctx, health) {
			return
		}
	}
}

// rest waits until the upstream is to be asked again, and says whether it is.
func (u *Upstream) rest(ctx context.Context, health Health) bool {
	if !sleep(ctx, impatient, nil) {
		return false
	}
	switch health.Problem {
	case Unanswered:
		return true
	case Unauthorized:
		return sleep(ctx, wary, u.kick)
	}
	return sleep(ctx, steady, u.kick)
}

func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	select {
	case <-ctx.Done():
		return false
	case <-wake:
		return true
	case <-time.After(d):
		return true
	}
}

func (u *Upstream) record(health Health) {
	u.mu.Lock()
	before := u.health
	u.health = health
	if health.Problem == None {
		u.held, u.until = nil, time.Time{}
	}
	u.mu.Unlock()
	if before == health {
		return
	}
	if health.Problem == None {
		u.log.Info("upstream answers", "url", u.base.String())
		return
	}
	u.log.Warn("upstream cannot be used", "url", u.base.String(), "problem", health.Problem, "reason", health.Reason)
}

// probe asks the upstream for its API's version, and logs in if it wants that.
func (u *Upstream) probe(ctx context.Context) Health {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base.String()+"/v2/", nil)
	if err != nil {
		return Health{Unanswered, reasonOf(err)}
	}
	response, err := u.login.plain.RoundTrip(request)
	if err != nil {
		return Health{Unanswered, reasonOf(err)}
	}
	defer discard(response)
	switch {
	case response.StatusCode == http.StatusUnauthorized:
		return u.tryCredentials(ctx, request, challengesOf(response))
	case response.StatusCode >= http.StatusBadRequest:
		return Health{Unanswered, response.Status}
	}
	return Health{}
}

// tryCredentials finds out whether the upstream takes the credentials. Without any, an
// upstream that gives tokens may have public content: it cannot be told before that is
// asked for.
func (u *Upstream) tryCredentials(ctx context.Context, request *http.Request, challenges []challenge) Health {
	if c, ok := pick(challenges, "bearer"); ok {
		if u.login.username == "" {
			return Health{}
		}
		return tokenHealth(u.login.fetch(ctx, c, ""))
	}
	if u.login.username == "" {
		return Health{Unauthorized, "it asks for credentials"}
	}
	request = request.Clone(ctx)
	request.SetBasicAuth(u.login.username, u.login.password)
	response, err := u.login.plain.RoundTrip(request)
	if err != nil {
		return Health{Unanswered, reasonOf(err)}
	}
	defer discard(response)
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return Health{Unauthorized, "it refuses the credentials"}
	}
	if response.StatusCode >= http.StatusBadRequest {
		return Health{Unanswered, response.Status}
	}
	return Health{}
}

// tokenHealth is what asking for a token that gives access to nothing tells. Some
// services give no such tokens, which says nothing of the credentials.
func tokenHealth(_ token, err error) Health {
	var refused *refusedError
	if !errors.As(err, &refused) {
		if err != nil {
			return Health{Unanswered, reasonOf(err)}
		}
		return Health{}
	}
	switch {
	case refused.status == http.StatusUnauthorized, refused.status == http.StatusForbidden:
		return Health{Unauthorized, "it refuses the credentials"}
	case refused.status == http.StatusTooManyRequests, refused.status >= http.StatusInternalServerError:
		return Health{Unanswered, refused.text}
	}
	return Health{}
}
