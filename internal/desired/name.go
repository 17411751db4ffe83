package desired

import (
	"fmt"
	"slices"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/relation"
)

// names are how the registry is reached.
type names struct {
	// netloc is how this unit's clients name it, own how its machine is reached.
	netloc, own string
	// proxy is the address of a related proxy, "" without one.
	proxy string
}

// nameFor decides on names: the netloc is that of http-host, or the proxy's address
// and port, or the unit's own.
func nameFor(in Input, tls bool) names {
	port := in.Config.HTTP.Port
	n := names{own: join(in.Facts.Address(), port)}
	if proxies := proxyAddresses(in); len(proxies) > 0 {
		n.proxy = proxies[0]
	}
	switch host := in.Config.HTTP.Host; {
	case host.Netloc != "":
		n.netloc = host.Netloc
	case n.proxy != "":
		n.netloc = joinFor(scheme(tls), n.proxy, port)
	default:
		n.netloc = n.own
	}
	return n
}

// all are the names by which the registry is known, each once.
func (n names) all() []string {
	netlocs := []string{n.netloc, n.own}
	slices.Sort(netlocs)
	return slices.Compact(netlocs)
}

// proxyAddresses are those of all units of related proxies.
func proxyAddresses(in Input) []string {
	var addresses []string
	for _, website := range in.Relations.Websites {
		for _, unit := range website.Names() {
			if address := relation.Address(website.Units[unit]); address != "" {
				addresses = append(addresses, address)
			}
		}
	}
	return addresses
}

func scheme(tls bool) string {
	if tls {
		return "https"
	}
	return "http"
}

// joinFor is host:port, without the port that the scheme stands for.
func joinFor(scheme, host string, port int) string {
	if scheme == "https" && port == 443 || scheme == "http" && port == 80 {
		return bracket(host)
	}
	return join(host, port)
}

// join is host:port, with an IPv6 address in brackets.
func join(host string, port int) string { return fmt.Sprintf("%s:%d", bracket(host), port) }

func bracket(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}

// hostOf is the host of a netloc, an IPv6 address without brackets.
func hostOf(netloc string) string {
	host := netloc
	if i := strings.LastIndex(netloc, ":"); i > strings.LastIndex(netloc, "]") {
		host = netloc[:i]
	}
	return strings.Trim(host, "[]")
}

// loopback says that Docker reaches netloc without trusting an authority: it takes
// every registry of 127.0.0.0/8 and ::1 on this host for an insecure one.
func loopback(netloc string) bool {
	return strings.HasPrefix(netloc, "127.") || strings.HasPrefix(netloc, "localhost:") ||
		strings.HasPrefix(netloc, "[::1]:")
}

// Reach is how clients reach the registry.
type Reach struct {
	// Netloc is how they name it, host[:port]; Netlocs are all its names.
	Netloc  string
	Netlocs []string
	// Certificate is what it serves, nil for plain HTTP.
	Certificate *config.Certificate
}

// Reached says how the registry of a unit is reached. An error is as in [For].
func Reached(in Input) (Reach, error) {
	served, err := serve(in)
	if err != nil {
		return Reach{}, err
	}
	name := nameFor(in, served.cert != nil)
	return Reach{Netloc: name.netloc, Netlocs: name.all(), Certificate: served.cert}, nil
}
