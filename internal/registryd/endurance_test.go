package registryd_test

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// reloads is how many TestReloadUnderLoad makes: 100 find what is lost at a change, 1,000 are
// what docs/benchmarks.md tells.
var reloads = flag.Int("reloads", 100, "how many reloads clients live through")

// settings are what a reload under load changes, one a time.
type settings struct {
	readOnly, delete, accessLog bool
	level                       string
	listener                    string
}

// changes are made in turn, with the number of the round. What else a configuration can say is
// to be added here.
var changes = []func(u *unit, s *settings, round int){
	func(u *unit, _ *settings, round int) { u.writeCertificate(time.Duration(round+1) * time.Hour) },
	func(u *unit, _ *settings, round int) { u.writePasswords(round) },
	func(_ *unit, s *settings, round int) { s.level = []string{"error", "warn"}[round%2] },
	func(u *unit, _ *settings, round int) { u.writePolicy(round) },
	func(_ *unit, s *settings, _ int) { s.readOnly = true },
	func(_ *unit, s *settings, _ int) { s.readOnly = false },
	func(_ *unit, s *settings, round int) { s.delete, s.accessLog = round%2 == 0, round%4 == 0 },
}

func (s settings) config() string {
	return fmt.Sprintf(`
version: 0.1
log: {level: %s, accesslog: {disabled: %t}}
storage:
  filesystem: {rootdirectory: DIR/data}
  delete: {enabled: %t}
  cache: {blobdescriptor: inmemory}
  maintenance: {readonly: {enabled: %t}}
auth: {access: {realm: test, users: DIR/htpasswd, policy: DIR/policy}}
http:
  addr: %q
  tls: {certificate: DIR/cert.pem, key: DIR/key.pem}
health: {storagedriver: {enabled: true, interval: 1s, threshold: 3}}
`, s.level, !s.accessLog, s.delete, s.readOnly, s.listener)
}

// writePolicy lets clients do what they do, by Basic credentials alone and with tokens in turn.
func (u *unit) writePolicy(round int) {
	u.t.Helper()
	policies := []string{"user ** push,delete\n", "anonymous public/** pull\nuser load/** push\n"}
	writeFile(u.t, u.path("policy"), []byte(policies[round%len(policies)]))
}

// TestReloadUnderLoad changes all that a charm changes in daily life while clients push and
// pull. No request may fail, apart from pushes that a read-only registry refuses, and in the end
// nothing may be left of what was replaced.
func TestReloadUnderLoad(t *testing.T) {
	u := prepare(t, t.TempDir())
	u.writeCertificate(time.Hour)
	u.writePasswords(0)
	u.writePolicy(0)
	now := settings{level: "error", listener: "127.0.0.1:0"}
	u.configure(now.config())
	u.start()
	live := func(from, to int) footprint {
		clients := startLoadBut(t, u.server.Status().Addr, 50, &authn.Basic{Username: "user", Password: "secret"}, readOnly)
		for n := from; n < to; n++ {
			clients.await(t, 1)
			changes[n%len(changes)](u, &now, n/len(changes))
			u.reload(now.config())
		}
		clients.await(t, 50)
		clients.stop(t)
		return measure(t, u)
	}
	first := *reloads / 5
	before := live(0, first) // caches fill, and connections to storage are made
	after := live(first, *reloads)
	t.Logf("before %+v, after %+v", before, after)
	// A generation that is not freed is some hundred kilobytes, ten goroutines and a file.
	if after.goroutines > before.goroutines+5 || after.files > before.files+5 || after.heap > before.heap+4<<20 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if got := u.server.Status().Generation; got != *reloads+1 {
		t.Errorf("generation %d, want %d", got, *reloads+1)
	}
}

// readOnly says that err is the answer of a read-only registry to a push.
func readOnly(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusMethodNotAllowed && strings.HasPrefix(err.Error(), "push: ")
}

// footprint is what a process has.
type footprint struct {
	goroutines, files int
	heap              uint64
}

// measure waits until what ends in the background has ended.
func measure(t *testing.T, u *unit) footprint {
	t.Helper()
	await(t, "end of former generations", func() bool { return u.server.Status().Requests == 0 })
	goroutines, files := settle(t)
	u.log.reset()
	runtime.GC()
	runtime.GC() // what finalizers have let go of
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return footprint{goroutines, files, memory.HeapAlloc}
}
