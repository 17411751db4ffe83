// Package relation turns databags into typed values and back, one file an interface.
// It is pure, and takes whatever a databag may hold without failing on it. What a
// unit should say, and what it makes of what others say, is decided in package
// desired; reading and writing databags is left to others.
package relation

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Bag is a databag: what one unit or application tells over a relation.
type Bag = map[string]string

// Relation is one relation of the unit, as far as it was read.
type Relation struct {
	// ID is what hook tools call it, `website:3`.
	ID string
	// Application is the name of the remote one.
	Application string
	// Own is what the unit itself tells and OwnApp what its application does; App is what
	// the remote application tells, and Units what its units tell, by their names.
	Own, OwnApp, App Bag
	Units            map[string]Bag
}

// Parts are those parts of a relation that are worth reading. Each costs a call of a
// hook tool, Units one for each of them and one for their names.
type Parts struct {
	Own, App, Units bool
	// OwnApp is for the leader alone.
	OwnApp bool
	// Event is the one remote unit that the hook is about, if it is about one.
	Event bool
}

// Number is the number of a unit, 3 for `docker-registry/3`; a name without one has
// the number of units that sort last.
func Number(unit string) int {
	_, text, _ := strings.Cut(unit, "/")
	number, err := strconv.Atoi(text)
	if err != nil || number < 0 {
		return int(^uint(0) >> 1)
	}
	return number
}

// ByNumber orders names of units of one application by their numbers.
func ByNumber(a, b string) int {
	return cmp.Or(cmp.Compare(Number(a), Number(b)), cmp.Compare(a, b))
}

// Names are the relation's remote units by their numbers, so that 10 follows 9.
func (r Relation) Names() []string {
	return slices.SortedFunc(maps.Keys(r.Units), ByNumber)
}

// merged is what the remote units tell together: for each key the first of them that
// says something, as charms.reactive reads it.
func (r Relation) merged() Bag {
	all := Bag{}
	for _, unit := range slices.Backward(r.Names()) {
		for key, value := range r.Units[unit] {
			if value != "" {
				all[key] = value
			}
		}
	}
	return all
}

// Address is where Juju says that the teller of a bag is reached, "" if it does not.
func Address(bag Bag) string {
	return cmp.Or(address(bag["ingress-address"]), address(bag["private-address"]))
}

// address is text if that can be a host name or an IP address, and else "": it goes
// into paths and into the configuration of a proxy.
func address(text string) string {
	const most = 253
	if len(text) > most || strings.HasPrefix(text, ".") || strings.HasPrefix(text, "-") {
		return ""
	}
	odd := func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune(".:-_", r)
	}
	if strings.ContainsFunc(text, odd) {
		return ""
	}
	return text
}

// underscored is a unit's name as keys of databags have it, `docker-registry_0`.
func underscored(unit string) string { return strings.ReplaceAll(unit, "/", "_") }

// Hyphened is a unit's name as file names and HAProxy have it, `docker-registry-0`.
func Hyphened(unit string) string { return strings.ReplaceAll(unit, "/", "-") }
