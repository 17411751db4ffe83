// Package admin talks to the admin socket of a running registry. What to ask of a
// registry, and when, is left to the packages that run it.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// ErrNoAnswer means that nothing serves at the socket: there is none, nobody
// listens, or the answer did not come before the context ended.
var ErrNoAnswer = errors.New("registry does not answer")

// RefusedError is a reload that the registry refused. It serves on with the
// configuration it had.
type RefusedError struct {
	Reason string
}

// Error is the registry's own reason.
func (e *RefusedError) Error() string { return "registry refused: " + e.Reason }

// State is what a registry is doing.
type State string

// The states of a registry.
const (
	Serving  State = "serving"
	Retiring State = "retiring"
)

// Status is what a registry says of itself.
type Status struct {
	Version string `json:"version"`
	State   State  `json:"state"`
	// Generation counts the configurations that the process has served.
	Generation int `json:"generation"`
	// Config is the digest of the config.yml in force, `sha256:<hex>`.
	Config string `json:"config"`
	// Addr is the address that the registry listens on, `0.0.0.0:5000`.
	Addr string `json:"addr"`
	// TLS is nil over plain HTTP.
	TLS *TLS `json:"tls,omitempty"`
	// Requests is how many are being answered.
	Requests int `json:"requests"`
	// Writes is how many of them may change what is stored.
	Writes int `json:"writes"`
	// Refused is why the last reload was refused, "" if it was not.
	Refused string `json:"refused,omitempty"`
	// Upstream is what is wrong with the registry that this one is a cache of, nil if
	// nothing is.
	Upstream *Upstream `json:"upstream,omitempty"`
	// Failing are its health checks that fail, with their reasons: it answers nobody then.
	Failing map[string]string `json:"failing,omitempty"`
}

// Upstream is why a cache cannot use the registry that it is a cache of.
type Upstream struct {
	// Problem is "unanswered" or "unauthorized".
	Problem string `json:"problem"`
	// Reason is the cause in few words.
	Reason string `json:"reason"`
}

// TLS is the certificate that a registry shows.
type TLS struct {
	NotAfter time.Time `json:"notAfter"`
}

// Client talks to one socket. Its zero value reaches nobody.
type Client struct {
	socket string
}

// At is the client of the registry with this admin socket.
func At(socket string) Client { return Client{socket: socket} }

// Status asks how the registry is.
func (c Client) Status(ctx context.Context) (Status, error) {
	status, err := call[Status](ctx, c, http.MethodGet, "/v1/status", http.StatusOK)
	if err != nil {
		return Status{}, fmt.Errorf("cannot ask registry for its status: %w", err)
	}
	return status, nil
}

// Reload makes the registry read its configuration again, and returns once it
// serves with it. A [RefusedError] is the registry's refusal.
func (c Client) Reload(ctx context.Context) (Status, error) {
	status, err := call[Status](ctx, c, http.MethodPost, "/v1/reload", http.StatusOK)
	if err != nil {
		return Status{}, fmt.Errorf("cannot reload registry: %w", err)
	}
	return status, nil
}

// Retire makes the registry accept no more connections, finish what it is doing
// and end. It returns as soon as the registry has begun to.
func (c Client) Retire(ctx context.Context) (Status, error) {
	status, err := call[Status](ctx, c, http.MethodPost, "/v1/retire", http.StatusAccepted)
	if err != nil {
		return Status{}, fmt.Errorf("cannot retire registry: %w", err)
	}
	return status, nil
}

// Repositories is how many repositories a registry's storage holds.
type Repositories struct {
	// Config is the digest of the config.yml that names the storage.
	Config string `json:"config"`
	// Count is not all of them if More.
	Count int  `json:"repositories"`
	More  bool `json:"more"`
}

// Repositories asks how many repositories the registry's storage holds.
func (c Client) Repositories(ctx context.Context) (Repositories, error) {
	counted, err := call[Repositories](ctx, c, http.MethodGet, "/v1/repositories", http.StatusOK)
	if err != nil {
		return Repositories{}, fmt.Errorf("cannot ask registry for its repositories: %w", err)
	}
	return counted, nil
}

// answerLimit bounds an answer in bytes; a status has some hundreds.
const answerLimit = 1 << 20

func call[T any](ctx context.Context, c Client, method, path string, want int) (T, error) {
	var answer T
	transport := &http.Transport{DialContext: c.dial}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, nil)
	if err != nil {
		return answer, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return answer, fmt.Errorf("%w: %v", ErrNoAnswer, errors.Unwrap(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return answer, fmt.Errorf("%w: %v", ErrNoAnswer, err)
	}
	if response.StatusCode != want {
		return answer, refusal(response.Status, response.StatusCode, body)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, fmt.Errorf("cannot read its answer: %w", err)
	}
	return answer, nil
}

func (c Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	address, done, err := shorten(c.socket)
	if err != nil {
		return nil, err
	}
	defer done()
	return (&net.Dialer{}).DialContext(ctx, "unix", address)
}

func refusal(status string, code int, body []byte) error {
	var answer struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Error == "" {
		return fmt.Errorf("registry answered %q", status)
	}
	if code == http.StatusUnprocessableEntity {
		return &RefusedError{Reason: answer.Error}
	}
	return fmt.Errorf("registry answered %q: %s", status, answer.Error)
}
