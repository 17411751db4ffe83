package relations

import (
	"fmt"
	"path/filepath"

	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/provider"
)

// A neighbour is an application that the charm's may be related to.
type neighbour struct {
	name string
	// join makes the relation.
	join func(s *site)
	// change has the neighbour tell something else than it did.
	change func(s *site)
	// part ends the relation.
	part func(s *site)
	// inEffect complains if the unit does not do what the relation is for.
	inEffect func(s *site, u *juju.Unit)
}

// neighbours are one for each relation of the charm, and for cert-provider one for each version.
func neighbours() []neighbour {
	return []neighbour{
		certificates("easyrsa", provider.Options{Version: 0}),
		certificates("self-signed-certificates", provider.Options{Version: 1, Intermediate: true}),
		{name: "website", join: joinProxy, change: changeProxy, part: parting("website", "haproxy"), inEffect: proxied},
		{
			name: "docker-registry", join: joinRuntimes, change: changeRuntimes,
			part: parting("docker-registry", "containerd"), inEffect: told,
		},
		{
			name: "nrpe-external-master", join: joinMonitor, change: changeMonitor,
			part: parting("nrpe-external-master", "nrpe"), inEffect: monitored,
		},
	}
}

func certificates(name string, options provider.Options) neighbour {
	return neighbour{
		name:   name,
		join:   func(s *site) { s.provide(name, options) },
		change: func(s *site) { s.must(s.providers[name].Rotate()); s.settle() },
		part:   func(s *site) { s.dismiss(name) },
		inEffect: func(s *site, u *juju.Unit) {
			s.t.Helper()
			best := s.providers[name]
			for _, p := range s.providers {
				// That in which no key is told is preferred.
				if p.Version() > best.Version() {
					best = p
				}
			}
			s.wantServed(u, best.Pool())
		},
	}
}

// relate makes a relation with an application that has one unit.
func (s *site) relate(endpoint, name string) {
	s.t.Helper()
	r, err := s.app.Relate(endpoint, name)
	s.must(err)
	s.must(r.Set(name+"/0", hostOf(20)))
	s.settle()
}

// hostOf is what Juju tells of a unit whose address ends so.
func hostOf(number int) map[string]string {
	address := fmt.Sprintf("192.0.2.%d", number)
	return map[string]string{"ingress-address": address, "private-address": address, "egress-subnets": address + "/32"}
}

func parting(endpoint, name string) func(s *site) {
	return func(s *site) {
		s.app.RelationWith(endpoint, name).Remove()
		s.settle()
	}
}

func joinProxy(s *site) { s.relate("website", "haproxy") }

func changeProxy(s *site) {
	s.must(s.app.RelationWith("website", "haproxy").Set("haproxy/0", hostOf(21)))
	s.settle()
}

func proxied(s *site, u *juju.Unit) {
	s.t.Helper()
	bag := s.app.RelationWith("website", "haproxy").Get(u.Name())
	if leads := u == s.app.Leader(); leads != (bag["services"] != "") {
		s.t.Errorf("%s, leader %t, tells a proxy %q", u.Name(), leads, bag)
	}
}

func joinRuntimes(s *site) { s.relate("docker-registry", "containerd") }

func changeRuntimes(s *site) {
	r := s.app.RelationWith("docker-registry", "containerd")
	s.must(r.Set("containerd/1", hostOf(31)))
	s.settle()
	r.Depart("containerd/1")
	s.settle()
}

func told(s *site, u *juju.Unit) {
	s.t.Helper()
	bag := s.app.RelationWith("docker-registry", "containerd").Get(u.Name())
	for _, key := range []string{"registry_netloc", "registry_url", "basic_user", "basic_password", "tls_ca"} {
		if bag[key] == "" {
			s.t.Errorf("%s does not tell %s", u.Name(), key)
		}
	}
}

// joinMonitor relates to a subordinate, of which each unit has its own.
func joinMonitor(s *site) {
	r, err := s.app.Relate("nrpe-external-master", "nrpe")
	s.must(err)
	for n := range s.app.Units() {
		s.must(r.Set(fmt.Sprintf("nrpe/%d", n), hostOf(40+n)))
	}
	s.settle()
}

func changeMonitor(s *site) {
	r := s.app.RelationWith("nrpe-external-master", "nrpe")
	for n := range s.app.Units() {
		s.must(r.Set(fmt.Sprintf("nrpe/%d", n), map[string]string{"nagios_hostname": fmt.Sprintf("host-%d", n)}))
	}
	s.settle()
}

func monitored(s *site, u *juju.Unit) {
	s.t.Helper()
	if bag := s.app.RelationWith("nrpe-external-master", "nrpe").Get(u.Name()); bag["monitors"] == "" {
		s.t.Errorf("%s tells of no monitor: %q", u.Name(), bag)
	}
	for _, dir := range nagiosDirs() {
		if found, _ := filepath.Glob(u.Machine().Path(dir) + "/*docker_registry*"); len(found) == 0 {
			s.t.Errorf("%s has no check in %s", u.Name(), dir)
		}
	}
}
