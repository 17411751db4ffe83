package swift

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/ncw/swift/v2"
)

const contentType = "application/octet-stream"

// Headers of Swift.
const (
	// dynamicManifest makes an object a dynamic large object: all objects whose names begin
	// with its value, `<container>/<prefix>`, one after another.
	dynamicManifest = "X-Object-Manifest"
	staticManifest  = "X-Static-Large-Object"
)

// store is one container of Swift: requests about objects by their names, repeated where
// that helps.
type store struct {
	conn      *swift.Connection
	container string
	fresh     *fresh
	// patience and endurance are how long requests are repeated.
	patience, endurance time.Duration

	mu  sync.Mutex
	has *capabilities // nil until the service was asked
}

// open signs in, and makes the container if it is missing.
func open(ctx context.Context, p Parameters) (*store, error) {
	s := &store{
		container: p.Container, fresh: newFresh(), conn: connection(p), patience: patience, endurance: endurance,
	}
	_, err := retry(ctx, brief, func() (any, error) { return nil, asRefused(s.conn.Authenticate(ctx)) })
	if err != nil {
		return nil, fmt.Errorf("cannot sign in to Swift at %s as %q: %w", p.AuthURL, p.Username, notInCatalogue(err, p.Region))
	}
	err = s.probe(ctx)
	if missing(err) {
		_, err = s.repeat(ctx, s.patience, request{method: http.MethodPut})
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use container %q of Swift: %w", p.Container, err)
	}
	return s, nil
}

func connection(p Parameters) *swift.Connection {
	return &swift.Connection{
		UserName:       p.Username,
		ApiKey:         p.Password,
		AuthUrl:        p.AuthURL,
		AuthVersion:    p.AuthVersion,
		Tenant:         p.Tenant,
		TenantId:       p.TenantID,
		Domain:         p.Domain,
		DomainId:       p.DomainID,
		TenantDomain:   p.TenantDomain,
		TenantDomainId: p.TenantDomainID,
		TrustId:        p.TrustID,
		Region:         p.Region,
		EndpointType:   swift.EndpointType(p.EndpointType),
		UserAgent:      "docker-registry",
		// One attempt more, for a token that has expired; store repeats what else fails.
		Retries: 1,
		// ConnectTimeout is how long an answer may take; a manifest of many segments is
		// checked one by one before it is accepted.
		ConnectTimeout: time.Minute,
		Timeout:        time.Minute,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:       &tls.Config{InsecureSkipVerify: p.InsecureSkipVerify},
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: 5 * time.Second,
			IdleConnTimeout:       90 * time.Second,
			MaxIdleConnsPerHost:   256,
			DisableCompression:    true,
		},
	}
}

// notInCatalogue puts plain words in the place of what the library says if signing in
// succeeded, but told of no Swift.
func notInCatalogue(err error, region string) error {
	var answer *swift.Error
	if !errors.As(err, &answer) || answer.StatusCode != 0 {
		return err
	}
	if region != "" {
		return fmt.Errorf("there is no object store in region %q of the catalogue", region)
	}
	return fmt.Errorf("there is no object store in the catalogue")
}

// request is one request about the container, or about one of its objects.
type request struct {
	method, object string
	parameters     url.Values
	headers        swift.Headers
	body           *body
	// stream leaves the answer's body to the caller.
	stream bool
}

// answer is what Swift said.
type answer struct {
	headers swift.Headers
	body    io.ReadCloser // only of a request with stream
}

// once makes a request. It says errMissing of an object or container that does not exist.
func (s *store) once(ctx context.Context, r request) (answer, error) {
	target, err := s.conn.GetStorageUrl(ctx)
	if err != nil {
		return answer{}, asRefused(err)
	}
	options := swift.RequestOpts{
		Container:  s.container,
		ObjectName: r.object,
		Operation:  r.method,
		Parameters: r.parameters,
		Headers:    swift.Headers{},
		NoResponse: !r.stream,
		// The library holds its lock while it calls this.
		OnReAuth: func() (string, error) { return s.conn.StorageUrl, nil },
	}
	for key, value := range r.headers {
		options.Headers[key] = value
	}
	if r.body != nil {
		options.Body = r.body.open()
		options.Headers["Content-Length"] = strconv.FormatInt(r.body.size, 10)
	}
	response, headers, err := s.conn.Call(ctx, target, options)
	switch {
	case err == nil && r.stream:
		return answer{headers, response.Body}, nil
	case err == nil:
		return answer{headers: headers}, nil
	}
	err = asRefused(err)
	if errors.Is(err, refused(http.StatusNotFound)) {
		if r.object != "" && s.fresh.has(r.object) {
			return answer{}, errUnsettled
		}
		return answer{}, errMissing
	}
	return answer{}, err
}

// repeat makes a request, again and again if that helps, for at most budget.
func (s *store) repeat(ctx context.Context, budget time.Duration, r request) (answer, error) {
	return about(ctx, s, budget, r.object, func() (answer, error) { return s.once(ctx, r) })
}

// about repeats an operation on one object. An object that was written a moment ago and
// does not come is given up: something else has deleted it.
func about[T any](ctx context.Context, s *store, budget time.Duration, name string, op func() (T, error)) (T, error) {
	result, err := retry(ctx, budget, op)
	if errors.Is(err, errUnsettled) {
		s.fresh.remove(name)
		return result, errMissing
	}
	return result, err
}

// probe fails if the container cannot be reached.
func (s *store) probe(ctx context.Context) error {
	_, err := s.repeat(ctx, brief, request{method: http.MethodHead})
	return err
}
