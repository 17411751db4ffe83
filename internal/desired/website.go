package desired

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/relation"
)

// units are all units of the application that have an address, by their numbers.
func units(in Input) []relation.Peer {
	all := []relation.Peer{{Unit: in.Facts.Unit, Address: in.Facts.Address(), Serves: true}}
	for _, peers := range in.Relations.Peers {
		all = append(all, peers.Peers()...)
	}
	slices.SortFunc(all, func(a, b relation.Peer) int { return relation.ByNumber(a.Unit, b.Unit) })
	return all
}

// shared says that all units keep their images in the same place.
func shared(in Input) bool {
	_, alone := in.Config.Storage.Backend.(config.Filesystem)
	return !alone
}

// tellsProxies says that the unit tells proxies of all units, as the leader does and no
// other unit. A former leader goes on until another one is known to do so: a proxy that
// nobody tells anything closes its port. Juju runs no hook for it when it is deposed.
func tellsProxies(in Input) bool {
	if len(in.Relations.Websites) == 0 {
		return false
	}
	tells := in.Facts.Leader
	for _, peers := range in.Relations.Peers {
		other := slices.ContainsFunc(peers.Peers(), func(p relation.Peer) bool { return p.Tells })
		tells = tells || peers.Tells() && !other
	}
	return tells
}

// peerBags tell the other units where this one serves, and that it tells proxies.
func peerBags(in Input) []Databag {
	var bags []Databag
	for _, peers := range in.Relations.Peers {
		bags = append(bags, Databag{Relation: peers.ID, Now: peers.Own, Settings: relation.PeerBag(in.Facts.Address(), tellsProxies(in))})
	}
	return bags
}

// websiteBags tell proxies of all units, or nothing.
func websiteBags(in Input, tls bool) []Databag {
	bag := relation.NoWebsite()
	if tellsProxies(in) {
		bag = relation.Website{Address: in.Facts.Address(), Service: service(in, tls)}.Bag()
	}
	var bags []Databag
	for _, website := range in.Relations.Websites {
		bags = append(bags, Databag{Relation: website.ID, Now: website.Own, Settings: bag})
	}
	return bags
}

// service is what proxies do: with TLS they pass connections through, unless they are
// to end TLS themselves.
func service(in Input, tls bool) relation.Service {
	port := in.Config.HTTP.Port
	wanted := relation.Service{Name: realm(in.Facts.Unit), Port: port, Options: []string{"mode http", "balance leastconn", retryElsewhere}}
	var options string
	switch {
	case tls && in.Config.TLS.Reencrypt:
		options = reencrypt(&wanted, in.Config.TLS)
	case tls:
		options = passThrough(&wanted, in.Config.TLS)
	default:
		wanted.Options = append(wanted.Options, checkHTTP)
	}
	for i, unit := range units(in) {
		server := relation.Server{
			Name: relation.Hyphened(unit.Unit), Address: unit.Address, Port: port,
			Options: watched + options,
		}
		// A unit that may not serve yet gets no clients as long as others do.
		if i > 0 && !shared(in) || !unit.Serves {
			server.Options += " backup"
		}
		wanted.Servers = append(wanted.Servers, server)
	}
	return wanted
}

// A registry that ended may be back in a second, and the others have images of their
// own: a proxy waits for it, but not longer than for what it holds back. A connection
// that is refused it tries again three times (its charm says so), a second apart. From
// the first refusal on checks come every 0.4 s, so that after five of them, a second
// before the last try, the server counts as down and another one is tried.
const (
	retryElsewhere = "option redispatch 1"
	watched        = "check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter"
)

// checkHTTP has a proxy ask for "/", which needs no password.
const checkHTTP = "option httpchk GET / HTTP/1.0"

// reencrypt has a proxy end TLS with its own certificate, which it also shows to a
// registry that asks for one. It returns what is to be added to servers.
func reencrypt(service *relation.Service, tls config.TLS) string {
	const own = "/var/lib/haproxy/default.pem"
	service.Options = append(service.Options, checkHTTP, "http-request set-header X-Forwarded-Proto https")
	service.Certificates = []string{"DEFAULT"}
	options := fmt.Sprintf(" ssl check-ssl ca-file %s verify required", tls.CAPath)
	if tls.Clients != nil {
		options += " crt " + own
	}
	return options
}

// passThrough has a proxy pass TLS through. Its checks speak TLS of their own, unless
// they would need a certificate. It returns what is to be added to servers.
func passThrough(service *relation.Service, tls config.TLS) string {
	service.Options[0] = "mode tcp"
	if tls.Clients != nil && tls.Clients.Required {
		return ""
	}
	service.Options = append(service.Options, checkHTTP)
	return " check-ssl verify none"
}

// failoverNote says what clients behind a proxy get when the unit that serves them
// fails, if that is not the same.
func failoverNote(in Input) string {
	all := units(in)
	if len(proxyAddresses(in)) == 0 || len(all) < 2 || shared(in) {
		return ""
	}
	if primary := all[0].Unit; primary != in.Facts.Unit {
		return fmt.Sprintf("Backup of %s: after a failover clients get the images of this unit.", primary)
	}
	return fmt.Sprintf("If this unit fails, %s serves its own images in its place.", all[1].Unit)
}

// clientBags tell container runtimes where to pull from. All units tell the same:
// without a proxy or a name, the address of the first of them.
func clientBags(in Input, served serving, name names) []Databag {
	tls := served.cert != nil
	told := relation.Registry{Netloc: name.netloc, CA: served.authority}
	if in.Config.HTTP.Host.Netloc == "" && name.proxy == "" {
		told.Netloc = join(units(in)[0].Address, in.Config.HTTP.Port)
	}
	told.URL = cmp.Or(strings.TrimSuffix(in.Config.HTTP.Host.String(), "/"), scheme(tls)+"://"+told.Netloc)
	if basic := in.Config.Auth.Basic; basic != nil {
		told.User, told.Password = basic.User, basic.Password.Reveal()
	}
	var bags []Databag
	for _, client := range in.Relations.Clients {
		bags = append(bags, Databag{Relation: client.ID, Now: client.Own, Settings: told.Bag()})
	}
	return bags
}
