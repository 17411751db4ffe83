package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"runtime"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/singleflight"
)

const (
	// remembered bounds how many right and how many wrong credentials are remembered, each in less than
	// 200 bytes. Wrong ones have a memory of their own, so that guesses do not push out right ones.
	remembered = 10_000
	// patience bounds how long a sign-in waits for its turn. Clients give up a little later.
	patience = 20 * time.Second
	// freshWaiting and slowWaiting bound how many wait.
	freshWaiting, slowWaiting = 1000, 200
	// slowShare is how many times the time of a check the slow lane rests after it.
	slowShare = 3
)

// errBusy means that there was no turn for a check.
var errBusy = errors.New("too many sign-ins at once")

// outcome is what became of credentials.
type outcome string

const (
	known      outcome = "remembered"
	verified   outcome = "verified"
	wrong      outcome = "wrong"
	wrongAgain outcome = "wrong again"
	undecided  outcome = "undecided"
)

// good says that they are right.
func (o outcome) good() bool { return o == known || o == verified }

// A Memory is what is known of credentials. It outlives configurations: what it knows is bound to the
// line of the password file, so that a line which changes is forgotten with it, and a reload that changes
// none costs nothing.
//
// bcrypt takes a processor for the time of a hundred requests, and anybody may ask for it. So it is
// computed once for credentials that are right, and once for those that are wrong: a client that was left
// behind with an old password costs nothing and is no guesser. Other guesses are told by address and by
// user; who has guessed wrong for some time waits in the slow lane, which takes at most a quarter of one
// processor, and who has not goes past. Nobody is ever locked out: remembered clients never wait, an
// address that has signed in is not slowed for what others guess of its user, and in the slow lane each
// gets his turn.
type Memory struct {
	macs         sync.Pool // of hash.Hash with the key of this memory
	right, wrong *lru.Cache[digest, struct{}]
	flights      singleflight.Group
	fresh, slow  *lane
	guesses      *guesses
	compare      func(hash, password []byte) error
}

type digest [sha256.Size]byte

// NewMemory remembers nothing yet.
func NewMemory() *Memory {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails
	return &Memory{
		macs:  sync.Pool{New: func() any { return hmac.New(sha256.New, key) }},
		right: newLRU[digest, struct{}](), wrong: newLRU[digest, struct{}](),
		// Half of the processors, less what the slow lane takes, are left for requests.
		fresh:   newLane(max(1, runtime.GOMAXPROCS(0)/2), freshWaiting),
		slow:    newLane(1, slowWaiting),
		guesses: newGuesses(time.Now),
		compare: bcrypt.CompareHashAndPassword,
	}
}

func newLRU[K comparable, V any]() *lru.Cache[K, V] {
	cache, _ := lru.New[K, V](remembered) // it fails only for a size below 1
	return cache
}

// attempt is credentials, and what they are compared with.
type attempt struct {
	user, password string
	hash           string
	exists         bool
	from           string // address and port
}

// check says whether the credentials are right. Those that come several times at once are computed once.
func (m *Memory) check(ctx context.Context, try attempt) (outcome, error) {
	id := m.digest(try.user, try.hash, try.password)
	if found, ok := m.recall(id); ok {
		return found, nil
	}
	flight := m.flights.DoChan(string(id[:]), func() (any, error) {
		// Another flight may have landed since.
		if found, ok := m.recall(id); ok {
			return found, nil
		}
		// It is for all who wait, not only for the first, who may go.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		return m.compute(ctx, id, try)
	})
	select {
	case <-ctx.Done():
		return undecided, ctx.Err()
	case result := <-flight:
		return result.Val.(outcome), result.Err
	}
}

// recall is what became of credentials that were computed before.
func (m *Memory) recall(id digest) (outcome, bool) {
	if _, hit := m.right.Get(id); hit {
		return known, true
	}
	if _, hit := m.wrong.Get(id); hit {
		return wrongAgain, true
	}
	return undecided, false
}

func (m *Memory) compute(ctx context.Context, id digest, try attempt) (outcome, error) {
	lane, share, address := m.fresh, 0, clientAddress(try.from)
	if m.guesses.suspicious(address, try.user) {
		lane, share = m.slow, slowShare
	}
	if err := lane.enter(ctx); err != nil {
		return undecided, err
	}
	begin := time.Now()
	err := m.compare([]byte(try.hash), []byte(try.password))
	lane.leave(time.Duration(share) * time.Since(begin))
	if err != nil || !try.exists {
		m.wrong.Add(id, struct{}{})
		m.guesses.wrong(address, try.user)
		return wrong, nil
	}
	m.right.Add(id, struct{}{})
	m.guesses.right(address, try.user)
	return verified, nil
}

// digest stands for credentials; without the key it tells nothing of them.
func (m *Memory) digest(parts ...string) (id digest) {
	text := make([]byte, 0, usualLength)
	for _, part := range parts {
		// The length keeps "ab"+"c" apart from "a"+"bc".
		text = binary.BigEndian.AppendUint32(text, uint32(len(part)))
		text = append(text, part...)
	}
	mac := m.macs.Get().(hash.Hash)
	defer m.macs.Put(mac)
	mac.Reset()
	mac.Write(text)
	mac.Sum(id[:0])
	return id
}

// usualLength is what most credentials and a line of the password file have together, in bytes.
const usualLength = 256
