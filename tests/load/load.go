// Package load plays many clients of a registry that push and pull images at once and never try
// again, and counts what fails. What happens to the registry meanwhile is left to its callers.
package load

import (
	"context"
	"crypto/x509"
	"net"
	"slices"
	"sync"
	"time"
)

// Options say who the clients are and where they find the registry.
type Options struct {
	// Clients is how many push and pull at a time.
	Clients int

	// URL is the registry's, such as https://registry.test:5000. The name is for TLS only.
	URL string

	// Dial connects to the registry, wherever it is at that moment.
	Dial func(ctx context.Context) (net.Conn, error)

	// Roots is what the clients trust.
	Roots *x509.CertPool

	User string

	// Passwords are tried in turn: where one is refused, the same request is sent with the next. Only
	// the refusal of the last one is a failure.
	Passwords []string

	// Tokens has every other client fetch a token with its password for each image, as docker does. The
	// others send the password with each request.
	Tokens bool
}

// A Crowd is clients at work. Each pushes an image of its own, pulls it again, compares it, and goes
// on with the next. A quarter of them opens a connection for each request, another speaks HTTP/2.
type Crowd struct {
	options Options
	stop    chan struct{}
	clients sync.WaitGroup

	mu        sync.Mutex
	passwords []string
	requests  int
	images    int
	refused   int
	failures  []error
}

// Start sets clients to work. The caller stops them.
func Start(options Options) *Crowd {
	c := &Crowd{options: options, stop: make(chan struct{}), passwords: options.Passwords}
	for number := range options.Clients {
		c.clients.Go(func() { newClient(c, number).work() })
	}
	return c
}

// Stop lets every client finish its image.
func (c *Crowd) Stop() {
	close(c.stop)
	c.clients.Wait()
}

// SetPasswords replaces Options.Passwords from the next requests on.
func (c *Crowd) SetPasswords(passwords ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passwords = passwords
}

func (c *Crowd) knownPasswords() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.passwords)
}

// A Count is what has happened since the crowd was started.
type Count struct {
	// Requests were sent, Images pushed, pulled and found to be the same.
	Requests, Images int

	// Refused is the requests with a password that was not, or no more, the right one.
	Refused int

	// Failures are the requests that had no answer or the wrong one.
	Failures []error
}

// Count says what has happened since the start.
func (c *Crowd) Count() Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Count{Requests: c.requests, Images: c.images, Refused: c.refused, Failures: slices.Clone(c.failures)}
}

// Await returns once that many further images were pushed and pulled, or when ctx ends.
func (c *Crowd) Await(ctx context.Context, images int) error {
	for goal := c.Count().Images + images; c.Count().Images < goal; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// note takes the end of a request: of one that failed, err says how.
func (c *Crowd) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if err != nil {
		c.failures = append(c.failures, err)
	}
}

func (c *Crowd) noteRefused() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	c.refused++
}

func (c *Crowd) noteImage() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.images++
}
