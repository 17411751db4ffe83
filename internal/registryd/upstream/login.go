package upstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// tokenTimeout bounds the way to the authorization service and back.
	tokenTimeout = 15 * time.Second
	// tokenLife is how long a token is good for that does not say so itself.
	// https://distribution.github.io/distribution/spec/auth/token/
	tokenLife = 60 * time.Second
	// tokenMargin is how long before its end a token is not used any more.
	tokenMargin = 10 * time.Second
	// tokenCount bounds the tokens that are kept, one a repository.
	tokenCount = 1000
	// answerLimit bounds in bytes what is read of an answer that is about to be dropped.
	answerLimit = 1 << 20
)

// login is a transport that answers the upstream's challenges. Whom a redirect leads to
// is told nothing.
type login struct {
	base               *url.URL
	username, password string
	plain              *http.Transport

	mu     sync.Mutex
	basic  bool // the upstream asked for the password itself
	tokens map[string]token
}

type token struct {
	value string
	until time.Time
}

func newLogin(base *url.URL, username, password string, plain *http.Transport) *login {
	return &login{base: base, username: username, password: password, plain: plain, tokens: make(map[string]token)}
}

// RoundTrip sends r with what is known to be asked for, and again if more is.
func (l *login) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != l.base.Scheme || r.URL.Host != l.base.Host {
		return l.plain.RoundTrip(r)
	}
	repository := repositoryOf(r.URL.Path)
	sent := l.authorization(repository)
	response, err := l.send(r, sent)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	// Another request may have logged in since.
	if l.authorization(repository) == sent {
		if err := l.answer(r.Context(), challengesOf(response), repository); err != nil {
			discard(response)
			return nil, err
		}
	}
	now := l.authorization(repository)
	if now == sent {
		return response, nil
	}
	discard(response)
	return l.send(r, now)
}

func (l *login) send(r *http.Request, authorization string) (*http.Response, error) {
	if authorization != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", authorization)
	}
	return l.plain.RoundTrip(r)
}

// CloseIdleConnections is what http.Client asks of its transport.
func (l *login) CloseIdleConnections() { l.plain.CloseIdleConnections() }

// repositoryOf is the repository that a path of the API is about, "" if it is none.
func repositoryOf(path string) string {
	_, path, _ = strings.Cut(path, "/v2/")
	end := 0
	for _, kind := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		end = max(end, strings.LastIndex(path, kind))
	}
	return path[:end]
}

// authorization is the header that is known to be asked for, "" if none is.
func (l *login) authorization(repository string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.tokens[repository]
	switch {
	case ok && time.Now().Before(known.until):
		return "Bearer " + known.value
	case l.basic:
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(l.username+":"+l.password))
	}
	return ""
}

// answer gets what the challenges ask for, if that is to be had.
func (l *login) answer(ctx context.Context, challenges []challenge, repository string) error {
	if c, ok := pick(challenges, "bearer"); ok {
		fresh, err := l.fetch(ctx, c, repository)
		if err != nil {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.tokens) >= tokenCount {
			clear(l.tokens)
		}
		l.tokens[repository] = fresh
		return nil
	}
	if _, ok := pick(challenges, "basic"); ok && l.username != "" {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.basic = true
	}
	return nil
}

// fetch gets a token for what a challenge asks for.
func (l *login) fetch(ctx context.Context, c challenge, repository string) (token, error) {
	realm, err := url.Parse(c.parameters["realm"])
	if err != nil || !trusts(l.base, realm) {
		return token{}, fmt.Errorf("cannot log in: the authorization service is not of the upstream's own domain")
	}
	query := realm.Query()
	if service := c.parameters["service"]; service != "" {
		query.Set("service", service)
	}
	scope := c.parameters["scope"]
	if scope == "" && repository != "" {
		scope = "repository:" + repository + ":pull"
	}
	if scope != "" {
		query.Set("scope", scope)
	}
	if l.username != "" {
		query.Set("account", l.username)
	}
	realm.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
	if err != nil {
		return token{}, errors.New("cannot log in: the authorization service has no proper URL")
	}
	if l.username != "" {
		request.SetBasicAuth(l.username, l.password)
	}
	response, err := (&http.Client{Transport: l.plain}).Do(request)
	if err != nil {
		return token{}, err
	}
	defer discard(response)
	if response.StatusCode != http.StatusOK {
		return token{}, &refusedError{response.StatusCode, response.Status, response.Header.Get("Retry-After")}
	}
	return readToken(response.Body)
}

func readToken(body io.Reader) (token, error) {
	var given struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(body, answerLimit)).Decode(&given); err != nil {
		return token{}, errors.New("cannot log in: the authorization service gave no token")
	}
	value := given.Token
	if value == "" {
		value = given.AccessToken
	}
	if value == "" {
		return token{}, errors.New("cannot log in: the authorization service gave no token")
	}
	life := max(time.Duration(given.ExpiresIn)*time.Second, tokenLife)
	return token{value: value, until: time.Now().Add(life - tokenMargin)}, nil
}

// discard reads the rest of an answer, so that its connection can be used again.
func discard(response *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, answerLimit))
	_ = response.Body.Close() // there is nothing to be done about it
}
