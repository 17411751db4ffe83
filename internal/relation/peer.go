package relation

import "cmp"

// Peer is a unit of the same application.
type Peer struct {
	Unit, Address string
	// Serves says that its registry is known to serve.
	Serves bool
}

// PeerBag tells the other units where this one's registry serves.
func PeerBag(address string) Bag { return Bag{"address": address} }

// Peers are the other units that have an address, by their numbers. One of the charm
// that this one replaces says nothing of its registry.
func (r Relation) Peers() []Peer {
	var peers []Peer
	for _, unit := range r.Names() {
		bag := r.Units[unit]
		told := address(bag["address"])
		peer := Peer{Unit: unit, Address: cmp.Or(told, Address(bag)), Serves: told != ""}
		if peer.Address != "" {
			peers = append(peers, peer)
		}
	}
	return peers
}
