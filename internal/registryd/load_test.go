package registryd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	addr     string
	clients  sync.WaitGroup
	done     chan struct{}
	finished atomic.Int64
	mu       sync.Mutex
	failures []error
}

// startLoad starts count clients; each pushes images of its own and pulls them again.
// None of them retries: every failed request counts.
func startLoad(t *testing.T, addr string, count int, auth authn.Authenticator) *load {
	t.Helper()
	l := &load{addr: addr, done: make(chan struct{})}
	for client := range count {
		transport := newTransport()
		options := []remote.Option{
			remote.WithTransport(transport),
			remote.WithAuth(auth),
			remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
			remote.WithRetryStatusCodes(),
			remote.WithRetryPredicate(func(error) bool { return false }),
		}
		l.clients.Go(func() {
			defer transport.CloseIdleConnections()
			l.run(client, options)
		})
	}
	return l
}

func (l *load) run(client int, options []remote.Option) {
	for round := 0; ; round++ {
		select {
		case <-l.done:
			return
		default:
		}
		if err := pushAndPull(fmt.Sprintf("%s/load/c%d:%d", l.addr, client, round), options); err != nil {
			l.mu.Lock()
			l.failures = append(l.failures, err)
			l.mu.Unlock()
		}
		l.finished.Add(1)
	}
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
	t.Logf("%d images pushed and pulled, %d failures", l.finished.Load(), len(l.failures))
	for i, err := range l.failures {
		if i == 10 {
			break
		}
		t.Errorf("request failed: %v", err)
	}
}

// TestReloadUnderLoad changes all that a charm changes in daily life while clients push
// and pull. No request may fail.
func TestReloadUnderLoad(t *testing.T) {
	u := prepare(t, t.TempDir())
	u.writeCertificate(time.Hour)
	u.writePasswords(0)
	config := func(n int) string {
		return fmt.Sprintf(`
version: 0.1
log: {level: %s, accesslog: {disabled: %t}}
storage:
  filesystem: {rootdirectory: DIR/data}
  delete: {enabled: %t}
  cache: {blobdescriptor: inmemory}
auth: {htpasswd: {realm: test, path: DIR/htpasswd}}
http:
  addr: 127.0.0.1:0
  tls: {certificate: DIR/cert.pem, key: DIR/key.pem}
health: {storagedriver: {enabled: true, interval: 1s, threshold: 3}}
`, []string{"error", "warn"}[n%2], n%3 == 0, n%2 == 0)
	}
	u.configure(config(0))
	u.start()
	clients := startLoad(t, u.server.Status().Addr, 50, &authn.Basic{Username: "user", Password: "secret"})
	for n := 1; n <= 30; n++ {
		clients.await(t, 5)
		if n%5 == 0 {
			u.writeCertificate(time.Duration(n) * time.Hour)
		}
		u.writePasswords(n)
		u.reload(config(n))
	}
	clients.await(t, 50)
	clients.stop(t)
	if got := u.server.Status().Generation; got != 31 {
		t.Errorf("generation %d, want 31", got)
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
