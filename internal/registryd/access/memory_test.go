package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// counted counts what a memory computes.
func counted(m *Memory) *atomic.Int64 {
	var computed atomic.Int64
	m.compare = func(hash, password []byte) error {
		computed.Add(1)
		return bcrypt.CompareHashAndPassword(hash, password)
	}
	return &computed
}

func TestRemembers(t *testing.T) {
	p := newPlace(t)
	c := p.controller("** ** pull")
	computed := counted(p.memory)
	wrong := request("ci")
	wrong.SetBasicAuth("ci", "guess")
	want := func(what string, r *http.Request, status string, total int64) {
		t.Helper()
		if got := verdictOf(c, r)[:3]; got != status || computed.Load() != total {
			t.Errorf("%s: %s after %d computations, want %s after %d", what, got, computed.Load(), status, total)
		}
	}
	want("first", request("ci"), "200", 1)
	want("second", request("ci"), "200", 1)
	want("wrong", wrong, "401", 2)
	want("wrong again", wrong, "401", 2)
	want("unknown user", request("eve"), "401", 3)
	want("unknown user again", request("eve"), "401", 3)
	c = p.controller("** ** pull")
	want("other lines", request("ci"), "200", 4)

	kept, err := os.ReadFile(c.users.path)
	if err != nil {
		t.Fatal(err)
	}
	p.write("users", string(kept)+line(t, "new"))
	c = p.reloaded(c)
	want("reload with the same line", request("ci"), "200", 4)
	p.write("users", line(t, "dev"))
	want("without a reload, line gone", request("ci"), "401", 5)
	p.write("users", line(t, "ci"))
	want("another line", request("ci"), "200", 6)
}

// reloaded is a controller of the next generation for the same files.
func (p place) reloaded(c *Controller) *Controller {
	p.Helper()
	next, err := newAccess(p.equipped("access", map[string]any{"realm": "test", "users": c.users.path}))
	if err != nil {
		p.Fatal(err)
	}
	return next.(*Controller)
}

func try(user, password string) attempt {
	return attempt{user: user, password: password, hash: "hash", exists: true, from: "192.0.2.1:1"}
}

// TestComputesOnce has many come with the same credentials while they are computed.
func TestComputesOnce(t *testing.T) {
	m := NewMemory()
	var computed atomic.Int64
	begun, go_ := make(chan struct{}), make(chan struct{})
	m.compare = func(_, _ []byte) error {
		computed.Add(1)
		close(begun)
		<-go_
		return nil
	}
	var clients sync.WaitGroup
	for range 50 {
		clients.Go(func() {
			if got, err := m.check(t.Context(), try("ci", "x")); err != nil || got != verified && got != known {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	<-begun
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := m.check(gone, try("ci", "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that is gone waits: %v", err)
	}
	close(go_)
	clients.Wait()
	if computed.Load() != 1 {
		t.Errorf("computed %d times", computed.Load())
	}
}

// TestGuessingDoesNotBlockOthers holds the slow lane up and lets others in.
func TestGuessingDoesNotBlockOthers(t *testing.T) {
	m := NewMemory()
	computing, hold := make(chan struct{}), make(chan struct{})
	m.compare = func(_, password []byte) error {
		if string(password) == "held" {
			close(computing)
			<-hold
		}
		if string(password) == "right" {
			return nil
		}
		return errors.New("wrong")
	}
	for i := range addressGuesses + 2 {
		if got, err := m.check(t.Context(), try("ci", fmt.Sprint(i))); got != wrong || err != nil {
			t.Fatalf("guess %d: %s, %v", i, got, err)
		}
	}
	held := make(chan outcome)
	go func() {
		got, _ := m.check(context.Background(), try("ci", "held"))
		held <- got
	}()
	<-computing
	other := try("ci", "right")
	other.from = "192.0.2.2"
	if got, err := m.check(t.Context(), other); got != verified || err != nil {
		t.Errorf("another address: %s, %v", got, err)
	}
	if got, err := m.check(t.Context(), try("ci", "right")); got != known || err != nil {
		t.Errorf("the same address, remembered: %s, %v", got, err)
	}
	m.slow.waiting.Store(slowWaiting)
	if _, err := m.check(t.Context(), try("ci", "more")); !errors.Is(err, errBusy) {
		t.Errorf("a guess more than may wait: %v", err)
	}
	m.slow.waiting.Store(0)
	close(hold)
	if got := <-held; got != wrong {
		t.Errorf("the guess that was held: %s", got)
	}
	// Nobody is locked out: an address that has guessed gets its turn.
	if got, err := m.check(t.Context(), try("dev", "right")); got != verified || err != nil {
		t.Errorf("right after wrong guesses: %s, %v", got, err)
	}
}

func TestGuesses(t *testing.T) {
	now := time.Now()
	g := newGuesses(func() time.Time { return now })
	for range userGuesses + 10 {
		g.wrong("192.0.2.1", "ci")
	}
	g.right("192.0.2.3", "ci")
	for _, test := range []struct {
		address, user string
		want          bool
	}{
		{"192.0.2.1", "dev", true},
		{"192.0.2.2", "ci", true},
		{"192.0.2.3", "ci", false},
		{"192.0.2.2", "dev", false},
	} {
		if got := g.suspicious(test.address, test.user); got != test.want {
			t.Errorf("%s as %s: %v", test.address, test.user, got)
		}
	}
	now = now.Add(userGuesses * forgiven)
	if g.suspicious("192.0.2.1", "dev") || g.suspicious("192.0.2.2", "ci") {
		t.Error("guesses are not forgotten")
	}
}

func TestGuessesAreBounded(t *testing.T) {
	g := newGuesses(time.Now)
	for i := range 2 * remembered {
		g.wrong(fmt.Sprint("a", i), fmt.Sprint("u", i))
		g.right(fmt.Sprint("a", i), fmt.Sprint("u", i))
	}
	if g.addresses.Len() > remembered || g.users.Len() > remembered || g.signedIn.Len() > remembered {
		t.Error("it grows without end")
	}
}

func TestClientAddress(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[::ffff:192.0.2.1]:80": "192.0.2.1", "[fe80::1%eth0]:80": "fe80::/64", "@": "@",
	} {
		if got := clientAddress(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// TestNobodyTakesAsLong holds that there is a hash for users that there are not, of the file's cost.
func TestNobodyTakesAsLong(t *testing.T) {
	parsed, err := parsePasswords([]byte("ci:$2y$11$926C3y10Quzn/LnqQH86VOEVh/18T6RnLaS.khre96jLNL/7e.K5W\nplain:password\n# no:user\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"eve", "plain", "", "# no"} {
		hash, exists := parsed.hash(user)
		if cost, err := bcrypt.Cost([]byte(hash)); exists || err != nil || cost != 11 {
			t.Errorf("user %q: cost %d, %v, exists %v", user, cost, err, exists)
		}
	}
	if err := bcrypt.CompareHashAndPassword([]byte(fmt.Sprintf("$2a$04$%s", parsed.nobody[7:])), []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("the hash of nobody is not computed: %v", err)
	}
}

func TestOptions(t *testing.T) {
	p := newPlace(t)
	users, bad := p.write("users", line(t, "ci")), p.write("bad", "ci\n")
	rules, mistake := p.write("policy", "ci ** pull"), p.write("mistake", "ci ** read")
	for _, test := range []struct {
		name, controller string
		options          map[string]any
		want             string
	}{
		{"htpasswd", "htpasswd", map[string]any{"realm": "r", "path": users}, ""},
		{"access", "access", map[string]any{"realm": "r", "users": users, "policy": rules}, ""},
		{"no users", "access", map[string]any{"realm": "r", "policy": rules}, ""},
		{"no realm", "htpasswd", map[string]any{"path": users}, `option "realm" of auth is missing; write a name for the registry`},
		{"realm of another type", "access", map[string]any{"realm": 1, "users": users}, `option "realm" of auth is 1; write text that is not empty`},
		{"no path", "htpasswd", map[string]any{"realm": "r"}, `option "path" of auth.htpasswd is missing; write the path of a password file`},
		{"nothing", "access", map[string]any{"realm": "r"}, `auth.access: set "users" to the path of a password file, or "policy" to that of a policy`},
		{"no file", "htpasswd", map[string]any{"realm": "r", "path": p.dir + "/none"}, `cannot read password file "` + p.dir + `/none": no such file or directory`},
		{"no colon", "access", map[string]any{"realm": "r", "users": bad}, `cannot read password file "` + bad + `": line 1 has no colon; write user:bcrypt hash`},
		{"mistake", "access", map[string]any{"realm": "r", "policy": mistake}, `cannot read policy "` + mistake +
			`": line 1: "read" is not an action; write pull, push, delete or list, with commas and no blanks between them`},
	} {
		build := map[string]func(map[string]any) error{
			"htpasswd": func(o map[string]any) error { _, err := newHtpasswd(o); return err },
			"access":   func(o map[string]any) error { _, err := newAccess(o); return err },
		}[test.controller]
		got := ""
		if err := build(p.equipped(test.controller, test.options)); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
}
