package relation

import (
	"fmt"
	"strconv"
	"strings"
)

// Service is what HAProxy is told: one service with the servers behind it.
type Service struct {
	// Name is the application's.
	Name string
	// Port is where the proxy listens.
	Port    int
	Options []string
	// Certificates are those that the proxy itself serves: "DEFAULT" is its own. None:
	// it does not speak TLS.
	Certificates []string
	Servers      []Server
}

// Server is one unit behind a proxy.
type Server struct {
	Name, Address string
	Port          int
	Options       string
}

// Website is what the leader tells a proxy.
type Website struct {
	// Address is the unit's own.
	Address string
	Service Service
}

// Bag tells a proxy.
func (w Website) Bag() Bag {
	return Bag{
		"hostname":        w.Address,
		"private-address": w.Address,
		"port":            strconv.Itoa(w.Service.Port),
		"services":        w.Service.text(),
		"all_services":    "",
	}
}

// NoWebsite is what all units but the leader tell a proxy: nothing. It takes back what
// a former leader told, and all_services of early revisions of this charm.
func NoWebsite() Bag {
	return Bag{"hostname": "", "port": "", "services": "", "all_services": ""}
}

// text is the service as YAML in blocks: JSON, which YAML would allow, is decoded by
// haproxy-operator before it looks for YAML.
func (s Service) text() string {
	var out strings.Builder
	fmt.Fprintf(&out, "- service_name: %s\n  service_host: 0.0.0.0\n  service_port: %d\n  service_options:\n", s.Name, s.Port)
	for _, option := range s.Options {
		fmt.Fprintf(&out, "   - %s\n", option)
	}
	if len(s.Certificates) > 0 {
		fmt.Fprintf(&out, "  crts: [%s]\n", strings.Join(s.Certificates, ", "))
	}
	out.WriteString("  servers:\n")
	for _, server := range s.Servers {
		fmt.Fprintf(&out, "   - [%s, %s, %d, %s]\n", server.Name, host(server.Address), server.Port, server.Options)
	}
	return out.String()
}

// host is an address for YAML and for HAProxy, which puts a port behind it.
func host(address string) string {
	if strings.Contains(address, ":") {
		return `"[` + address + `]"`
	}
	return address
}
