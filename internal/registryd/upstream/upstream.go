// Package upstream is how a pull-through cache reaches the registry that it is a cache
// of. distribution's own way needs the upstream before it starts, waits for it without
// a bound, and takes whatever it sends; this one stands between the two. It logs in,
// bounds each wait, checks blobs, answers clients when the upstream cannot, and knows
// how the upstream is. What is cached, and for how long, is left to distribution.
package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
)

// scheme is that of the URLs by which distribution asks for what is upstream.
const scheme = "registryd-upstream"

// holdOff is how long an upstream that did not answer is not asked again, so that what
// is cached is served without waiting for each connection that cannot be made.
const holdOff = 5 * time.Second

// Open makes the transports that distribution's proxy uses ask this package for scheme.
// It is to be called whenever a storage driver was made: that of S3 gives
// http.DefaultClient another transport if the environment names an authority for it.
func Open() {
	for _, used := range []http.RoundTripper{http.DefaultTransport, http.DefaultClient.Transport} {
		if transport, ok := used.(*http.Transport); ok {
			open(transport)
		}
	}
}

func open(transport *http.Transport) {
	defer func() { _ = recover() }() // it is open already, which cannot be asked
	transport.RegisterProtocol(scheme, entrance{})
}

// Upstream is the registry that a cache takes its content from.
type Upstream struct {
	base   *url.URL
	log    *slog.Logger
	client *http.Client
	login  *login

	mu     sync.Mutex
	held   *failure // why it is not asked
	until  time.Time
	health Health

	kick   chan struct{}
	first  chan struct{} // closed when health is known
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// New is the upstream that conf names. It is not asked for anything yet. The proxies of
// the environment are used.
func New(conf configuration.Proxy, log *slog.Logger) (*Upstream, error) {
	base, err := url.Parse(conf.RemoteURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("cannot be a pull-through cache: proxy.remoteurl must be an http or https URL")
	}
	base.User, base.RawQuery, base.Fragment = nil, "", ""
	base.Path = strings.TrimSuffix(base.Path, "/")
	u := &Upstream{
		base:  base,
		log:   log,
		kick:  make(chan struct{}, 1),
		first: make(chan struct{}),
	}
	u.login = newLogin(base, conf.Username, conf.Password, newTransport())
	u.client = &http.Client{Transport: u.login}
	return u, nil
}

// Address is what distribution has to be told instead of the upstream's own URL.
func (u *Upstream) Address() string { return scheme + "://" + u.base.Host }

// entrance is where distribution comes in.
type entrance struct{}

// RoundTrip asks the upstream of the client's request that r is made for. Without one it
// is distribution looking for a challenge to answer. It gets one that it cannot answer,
// since logging in is done here, and that keeps it from looking each time.
func (entrance) RoundTrip(r *http.Request) (*http.Response, error) {
	c, ok := r.Context().Value(callKey{}).(*call)
	if !ok {
		return &http.Response{
			Status: "401 Unauthorized", StatusCode: http.StatusUnauthorized,
			Header: http.Header{"Www-Authenticate": {scheme}}, Body: http.NoBody, Request: r,
		}, nil
	}
	response, failed := c.upstream.fetch(r, c)
	c.set(failed)
	if response == nil {
		return nil, failed
	}
	return response, nil
}

// fetch asks the upstream, unless it has just been found not to answer.
func (u *Upstream) fetch(r *http.Request, c *call) (*http.Response, *failure) {
	if held := u.heldBack(); held != nil {
		return nil, held
	}
	ctx, cancel := context.WithCancel(r.Context())
	response, err := u.client.Do(u.request(ctx, r))
	failed := judge(response, err)
	u.learn(r.Context(), failed)
	if err != nil {
		cancel()
		return nil, failed
	}
	response.Request = r
	u.relink(response.Header)
	content := newBody(response, cancel, func(err error) {
		failed := judge(nil, err)
		failed.silent = false // it did answer
		c.set(failed)
		u.learn(r.Context(), failed)
	})
	response.Body = content
	if blob := blobOf(r); blob != "" && response.StatusCode == http.StatusOK {
		content.expect(blob, c.sizeOf(r, response))
	}
	return response, failed
}

// request is r as it is sent. Content is asked for as it is: its length and digest are
// those of the encoding that the upstream would choose.
func (u *Upstream) request(ctx context.Context, r *http.Request) *http.Request {
	out := r.Clone(ctx)
	out.URL = new(url.URL)
	*out.URL = *u.base
	out.URL.Path += r.URL.Path
	out.URL.RawQuery = r.URL.RawQuery
	out.Host = ""
	out.Header.Set("Accept-Encoding", "identity")
	return out
}

// relink has the next page of a list be asked for here, wherever the upstream thinks that
// it is itself.
func (u *Upstream) relink(header http.Header) {
	target, relation, _ := strings.Cut(header.Get("Link"), ";")
	next, err := url.Parse(strings.Trim(target, "<> "))
	if err != nil || next.Path == "" {
		return
	}
	path := strings.TrimPrefix(next.EscapedPath(), u.base.EscapedPath())
	header.Set("Link", "<"+path+"?"+next.RawQuery+">;"+relation)
}

func (u *Upstream) heldBack() *failure {
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Now().Before(u.until) {
		return u.held
	}
	return nil
}

// learn takes the outcome of a request for what it tells of the upstream; nothing, if
// the client did not wait for it.
func (u *Upstream) learn(ctx context.Context, failed *failure) {
	if ctx.Err() != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held, u.until = nil, time.Time{}
	if failed != nil && failed.silent {
		u.held, u.until = failed, time.Now().Add(holdOff)
	}
	if (failed == nil) == (u.health.Problem == None) {
		return
	}
	select {
	case u.kick <- struct{}{}:
	default: // it is about to be asked
	}
}
