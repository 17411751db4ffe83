package registryd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/crypto/bcrypt"
)

// load is a crowd of clients that push and pull until they are told to stop.
type load struct {
	addr       string
	clients    sync.WaitGroup
	transports []*http.Transport
	done       chan struct{}
	finished   atomic.Int64
	// expected says which errors are none; refused counts them.
	expected func(error) bool
	refused  atomic.Int64
	mu       sync.Mutex
	failures []error
}

// startLoad starts count clients; each pushes images of its own and pulls them again.
// None of them retries: every failed request counts.
func startLoad(t *testing.T, addr string, count int, auth authn.Authenticator) *load {
	t.Helper()
	return startLoadBut(t, addr, count, auth, nil)
}

// startLoadBut is startLoad where a client may see errors that are expected.
func startLoadBut(t *testing.T, addr string, count int, auth authn.Authenticator, expected func(error) bool) *load {
	t.Helper()
	l := &load{addr: addr, done: make(chan struct{}), expected: expected}
	for client := range count {
		transport := newTransport()
		l.transports = append(l.transports, transport)
		options := []remote.Option{
			remote.WithTransport(transport),
			remote.WithAuth(auth),
			remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
			remote.WithRetryStatusCodes(),
			remote.WithRetryPredicate(func(error) bool { return false }),
		}
		l.clients.Go(func() { l.run(client, options) })
		time.Sleep(20 * time.Millisecond) // net/http gives a new connection of HTTP/2 two seconds to begin
	}
	return l
}

func (l *load) run(client int, options []remote.Option) {
	var last string
	for round := 0; ; round++ {
		select {
		case <-l.done:
			return
		default:
		}
		next := fmt.Sprintf("%s/load/c%d:%d", l.addr, client, round)
		err := pushAndPull(next, options)
		switch {
		case err == nil:
			last = next
		case l.expected != nil && l.expected(err):
			l.refused.Add(1)
			err = pullAgain(last, options)
		}
		if err != nil {
			l.mu.Lock()
			l.failures = append(l.failures, err)
			l.mu.Unlock()
		}
		l.finished.Add(1)
	}
}

// pullAgain pulls an image that was pushed, if there is one.
func pullAgain(reference string, options []remote.Option) error {
	if reference == "" {
		return nil
	}
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return err
	}
	image, err := remote.Image(ref, options...)
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	return compare(image, image)
}

func pushAndPull(reference string, options []remote.Option) error {
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return err
	}
	image, err := random.Image(2048, 2)
	if err != nil {
		return err
	}
	if err := remote.Write(ref, image, options...); err != nil {
		return fmt.Errorf("push: %w", err)
	}
	pulled, err := remote.Image(ref, options...)
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	return compare(image, pulled)
}

func compare(want, got v1.Image) error {
	wantConfig, err := want.RawConfigFile()
	if err != nil {
		return err
	}
	gotConfig, err := got.RawConfigFile()
	if err != nil {
		return fmt.Errorf("pull of the configuration: %w", err)
	}
	if !bytes.Equal(wantConfig, gotConfig) {
		return errors.New("pulled another configuration than was pushed")
	}
	layers, err := got.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		content, err := layer.Compressed()
		if err != nil {
			return fmt.Errorf("pull of a layer: %w", err)
		}
		_, err = new(bytes.Buffer).ReadFrom(content)
		if err := errors.Join(err, content.Close()); err != nil {
			return fmt.Errorf("pull of a layer: %w", err)
		}
	}
	return nil
}

// await returns when the clients have finished count more images.
func (l *load) await(t *testing.T, count int64) {
	t.Helper()
	goal := l.finished.Load() + count
	for l.finished.Load() < goal {
		select {
		case <-t.Context().Done():
			t.Fatal("load ended early")
		case <-time.After(time.Millisecond):
		}
	}
}

// stop ends the load and reports what failed.
func (l *load) stop(t *testing.T) {
	t.Helper()
	close(l.done)
	l.clients.Wait()
	for range 50 { // a client that gave a request up has its connection busy for a moment
		for _, transport := range l.transports {
			transport.CloseIdleConnections()
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d images pushed and pulled, %d of them refused as expected, %d failures", l.finished.Load(), l.refused.Load(), len(l.failures))
	for i, err := range l.failures {
		if i == 10 {
			break
		}
		t.Errorf("request failed: %v", err)
	}
}

// writePasswords writes DIR/htpasswd anew with the same password for user, and one line
// more that differs.
func (u *unit) writePasswords(n int) {
	u.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		u.t.Fatal(err)
	}
	writeFile(u.t, u.path("htpasswd"), fmt.Appendf(nil, "user:%s\nother%d:%s\n", hash, n, hash))
}

// TestSuccessorUnderLoad replaces a server by another one on the same port, several
// times, while clients push and pull.
func TestSuccessorUnderLoad(t *testing.T) {
	addr := freeAddr(t)
	shared := t.TempDir()
	// A shared secret lets uploads go on that were begun with the predecessor.
	config := fmt.Sprintf(`
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}}
http: {addr: %q, secret: shared}
`, shared, addr)
	server := start(t, config)
	clients := startLoad(t, addr, 50, authn.Anonymous)
	for range 3 {
		clients.await(t, 50)
		successor := start(t, config)
		if status := server.admin("POST", "/v1/retire", nil); status != 202 {
			t.Errorf("retire: status %d, want 202", status)
		}
		server.join()
		server = successor
	}
	clients.await(t, 50)
	clients.stop(t)
}

// TestReloadsLeakNothing counts goroutines and open files before and after many reloads,
// good ones and bad ones.
func TestReloadsLeakNothing(t *testing.T) {
	hook := newEventServer(t)
	more := fmt.Sprintf(`
health: {storagedriver: {enabled: true, interval: 1s}, file: [{file: DIR/down, interval: 1s}]}
notifications: {endpoints: [{name: hook, url: %q, timeout: 1s, ignore: {actions: [pull]}}]}
redis: {addrs: ["127.0.0.1:1"]}
`, hook.URL)
	u := start(t, filesystem("127.0.0.1:0", more))
	badAuth := filesystem("127.0.0.1:0", more, "auth: {htpasswd: {realm: x}}")
	badCheck := filesystem("127.0.0.1:0", "health: {file: [{file: a}, {file: a}]}")
	round := func() {
		u.reload(filesystem("127.0.0.1:0", more))
		for _, bad := range []string{badAuth, badCheck} {
			u.configure(bad)
			if err := u.server.Reload(); err == nil {
				t.Fatal("a bad configuration was accepted")
			}
		}
	}
	round()
	goroutines, files := settle(t)
	for range 200 {
		round()
	}
	after, filesAfter := settleBelow(t, goroutines)
	if after > goroutines {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after:\n%s", goroutines, after, stacks[:runtime.Stack(stacks, true)])
	}
	if filesAfter > files {
		t.Errorf("%d open files before, %d after", files, filesAfter)
	}
}

func settle(t *testing.T) (goroutines, files int) {
	return settleBelow(t, 0)
}

// settleBelow gives what ends in the background up to three seconds to do so.
func settleBelow(t *testing.T, goal int) (goroutines, files int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	for runtime.NumGoroutine() > goal && ctx.Err() == nil {
		runtime.Gosched()
		<-time.After(10 * time.Millisecond)
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return runtime.NumGoroutine(), len(entries)
}
