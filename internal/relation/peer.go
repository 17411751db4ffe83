package relation

import "cmp"

// Peer is a unit of the same application.
type Peer struct {
	Unit, Address string
	// Serves says that its registry is known to serve.
	Serves bool
	// Tells says that it tells proxies of all units.
	Tells bool
}

// websiteKey is the key by which a unit lets the others know that it tells proxies.
const websiteKey = "website"

// PeerBag tells the other units where this one's registry serves, and whether it tells
// proxies of all units.
func PeerBag(address string, tells bool) Bag {
	bag := Bag{"address": address, websiteKey: ""}
	if tells {
		bag[websiteKey] = "told"
	}
	return bag
}

// Tells says that the unit itself has let the others know that it tells proxies.
func (r Relation) Tells() bool { return r.Own[websiteKey] != "" }

// Peers are the other units that have an address, by their numbers. One of the charm
// that this one replaces says nothing of its registry.
func (r Relation) Peers() []Peer {
	var peers []Peer
	for _, unit := range r.Names() {
		bag := r.Units[unit]
		told := address(bag["address"])
		peer := Peer{Unit: unit, Address: cmp.Or(told, Address(bag)), Serves: told != "", Tells: bag[websiteKey] != ""}
		if peer.Address != "" {
			peers = append(peers, peer)
		}
	}
	return peers
}
