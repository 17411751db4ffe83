package access

import (
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// addressGuesses and userGuesses are how many different wrong passwords are nothing to speak of, from
	// one address and for one user. A user has more, because anybody may guess his.
	addressGuesses, userGuesses = 10, 50
	// forgiven is how long it takes until one guess is forgotten.
	forgiven = 6 * time.Second
)

// guesses counts wrong passwords. It remembers the latest addresses and users only, so that guessing from
// many addresses, or for many users, takes no more memory.
type guesses struct {
	now func() time.Time

	mu        sync.Mutex
	addresses *lru.Cache[string, tally]
	users     *lru.Cache[string, tally]
	signedIn  *lru.Cache[[2]string, struct{}]
}

// A tally loses one guess after each forgiven.
type tally struct {
	count float64
	at    time.Time
}

func newGuesses(now func() time.Time) *guesses {
	return &guesses{
		now: now, addresses: newLRU[string, tally](), users: newLRU[string, tally](), signedIn: newLRU[[2]string, struct{}](),
	}
}

// suspicious reports whether there were too many guesses from address or for user. Those for a user are
// not held against an address from where he has signed in.
func (g *guesses) suspicious(address, user string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.recent(g.addresses, address) > addressGuesses {
		return true
	}
	return g.recent(g.users, shortened(user)) > userGuesses && !g.signedIn.Contains([2]string{address, shortened(user)})
}

func (g *guesses) wrong(address, user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addresses.Add(address, tally{min(g.recent(g.addresses, address), 2*addressGuesses) + 1, g.now()})
	g.users.Add(shortened(user), tally{min(g.recent(g.users, shortened(user)), 2*userGuesses) + 1, g.now()})
}

func (g *guesses) right(address, user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.signedIn.Add([2]string{address, shortened(user)}, struct{}{})
}

func (g *guesses) recent(tallies *lru.Cache[string, tally], name string) float64 {
	last, _ := tallies.Get(name)
	return max(0, last.count-float64(g.now().Sub(last.at))/float64(forgiven))
}

// clientAddress is the host of address. Of IPv6 it is the network, in which a host has as many addresses
// as it likes.
func clientAddress(address string) string {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return address
	}
	host := parsed.Addr().Unmap().WithZone("")
	if host.Is4() {
		return host.String()
	}
	return netip.PrefixFrom(host, 64).Masked().String()
}
