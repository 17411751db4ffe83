package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/proxy"
)

// least is how many images are pulled while the unit that serves is killed and comes back.
const least = 2000

// What runs on a unit's machine, as pgrep finds it.
const (
	registryProcess   = "/registry-[0-9a-f]* serve "
	supervisorProcess = " supervise "
)

// TestKill kills the unit that serves all clients in the middle of 2,000 pulls: lost are at most the
// requests that it had accepted. The other unit serves until it is back. Who speaks TLS with whom
// makes no difference.
func TestKill(t *testing.T) {
	for _, test := range []struct {
		name, mode string
	}{
		{"http", ""},
		{"passed through", "passthrough"},
		{"encrypted anew", "reencrypt"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			s.deploy(2, s.secure(test.mode))
			primary, backup := s.app.Units()[0], s.app.Units()[1]
			s.settle(primary, "docker-registry-0", "(docker-registry-1)")
			images := makeImages(t, imageCount)
			s.push(primary, images)
			s.push(backup, images)
			s.pushAndPull()

			pulls := s.pull(crowd, images)
			pulls.await(s, calm)
			first := s.kill(primary, supervisorProcess+"|"+registryProcess)
			pulls.await(s, calm)
			first.back = time.Now()
			primary.UpdateStatus()
			s.awaitReturn(primary)
			second := s.kill(primary, registryProcess)
			pulls.await(s, max(calm, least-pulls.done.Load()))
			s.awaitReturn(primary)
			pulls.end()

			log := s.log(test.mode)
			log.wantInFlight(s, pulls, first, second)
			log.wantServed(s, pulls, first, backup)
			s.wantRefusal(test.mode)
		})
	}
}

// secure makes the certificates that a mode of TLS needs, puts those of the proxy where they belong, and
// returns the options of the units. Without a mode there is no TLS.
func (s *site) secure(mode string) map[string]string {
	s.Helper()
	if mode == "" {
		return nil
	}
	var err error
	s.authority, err = authority.New()
	check(s.T, err)
	options, err := s.authority.Options(s.front.Address())
	check(s.T, err)
	options["website-tls"] = mode
	if mode == "reencrypt" {
		certificate, key, root := certify(s.T, s.authority, s.front.Address())
		check(s.T, s.front.WriteFile(proxy.DefaultCertificate, append(certificate, key...), 0o600))
		check(s.T, s.front.WriteFile(caFile, root, 0o644))
	}
	return options
}

// pushAndPull pushes images through the proxy and pulls them again.
func (s *site) pushAndPull() {
	s.Helper()
	crowd := s.crowd(4)
	err := crowd.Await(s.ctx, 20)
	crowd.Stop()
	check(s.T, err)
	if failures := crowd.Count().Failures; len(failures) > 0 {
		s.Errorf("%d requests through the proxy failed, such as %v", len(failures), failures[0])
	}
}

// An outage is when a unit's registry was killed.
type outage struct {
	server        string
	before, after time.Time
	// back is when something began to start it again, zero if that was not the test.
	back time.Time
}

// kill kills those processes of a unit whose arguments match, and waits until they are gone: they may
// have their connections until then.
func (s *site) kill(unit *juju.Unit, processes string) outage {
	s.Helper()
	found, err := unit.Machine().Command(s.ctx, "pgrep", "-f", processes).Output()
	if err != nil {
		s.Fatalf("cannot find the registry of %s: %v", unit.Name(), err)
	}
	pids := strings.Fields(string(found))
	o := outage{server: serverOf(unit), before: time.Now()}
	if out, err := unit.Machine().Command(s.ctx, "kill", append([]string{"-KILL"}, pids...)...).CombinedOutput(); err != nil {
		s.Fatalf("cannot kill the registry of %s: %v: %s", unit.Name(), err, out)
	}
	for _, pid := range pids {
		for {
			if _, err := unit.Machine().ReadFile("/proc/" + pid + "/stat"); err != nil {
				break
			}
			check(s.T, s.ctx.Err())
			time.Sleep(time.Millisecond)
		}
	}
	o.after = time.Now()
	return o
}

// serverOf is how the proxy calls a unit.
func serverOf(unit *juju.Unit) string { return strings.ReplaceAll(unit.Name(), "/", "-") }

// awaitReturn waits until a unit serves clients of the proxy again.
func (s *site) awaitReturn(unit *juju.Unit) {
	s.Helper()
	before, err := s.proxy.Exchanges()
	check(s.T, err)
	for {
		now, err := s.proxy.Exchanges()
		check(s.T, err)
		for _, e := range now[len(before):] {
			if e.Server == serverOf(unit) && e.End == "--" {
				return
			}
		}
		select {
		case <-s.ctx.Done():
			s.Fatalf("%s does not serve again: %v", unit.Name(), s.ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A log is what HAProxy wrote down of requests or, where it passes TLS through and does not see them,
// of connections.
type log struct {
	requests    map[string][]proxy.Exchange
	connections map[string][]proxy.Exchange
}

// log reads what HAProxy has logged once it has logged of all connections: clients must have gone.
func (s *site) log(mode string) log {
	s.Helper()
	found := log{requests: make(map[string][]proxy.Exchange), connections: make(map[string][]proxy.Exchange)}
	// An old worker that goes logs last, and nobody says that it is through.
	time.Sleep(time.Second)
	all, err := s.proxy.Exchanges()
	check(s.T, err)
	for _, e := range all {
		if fields := strings.Fields(e.Request); mode != "passthrough" && len(fields) > 1 {
			found.requests[fields[1]] = append(found.requests[fields[1]], e)
			continue
		}
		found.connections[e.Client] = append(found.connections[e.Client], e)
	}
	return found
}

// of is what was logged of a request, or of the connection that it went over: the last one that came
// from the client's port by then.
func (l log) of(r request) []proxy.Exchange {
	if seen := l.requests[r.path]; len(seen) > 0 {
		return seen
	}
	var last []proxy.Exchange
	for _, e := range l.connections[r.local] {
		if e.At.Before(r.ended) && (last == nil || e.At.After(last[0].At)) {
			last = []proxy.Exchange{e}
		}
	}
	return last
}

// wantInFlight wants no request to have failed but those that a server which was killed had accepted:
// the proxy had connected to it, and the request had begun before the kill was over and had not ended
// before it began.
func (l log) wantInFlight(s *site, pulls *pulls, outages ...outage) {
	s.Helper()
	failed, all := pulls.failed()
	for _, r := range failed {
		accepted := false
		for _, o := range outages {
			for _, e := range l.of(r) {
				accepted = accepted || e.Server == o.server && e.Connected && r.began.Before(o.after) && r.ended.After(o.before)
			}
		}
		if !accepted {
			s.Errorf("%s from %s, begun %s, after %s: %v\n%+v", r.path, r.local, r.began.Format("15:04:05.000"),
				r.ended.Sub(r.began).Round(time.Millisecond), r.err, l.of(r))
		}
	}
	if len(failed) > crowd*len(outages) {
		s.Errorf("%d requests failed, of %d clients", len(failed), crowd)
	}
	s.Logf("%d images, %d requests, %d of which were lost with the registry that had accepted them", pulls.done.Load(), len(all), len(failed))
}

// wantServed wants all that began while a server was away to have been served by another.
func (l log) wantServed(s *site, pulls *pulls, o outage, by *juju.Unit) {
	s.Helper()
	_, all := pulls.failed()
	var count int
	for _, r := range all {
		if r.began.Before(o.after) || r.began.After(o.back) {
			continue
		}
		count++
		seen := l.of(r)
		if len(seen) == 0 || seen[len(seen)-1].Server != serverOf(by) {
			s.Errorf("%s from %s was served by %+v", r.path, r.local, seen)
		}
	}
	if count == 0 {
		s.Error("nobody pulled while the registry was away")
	}
	s.Logf("%d requests while %s was away", count, o.server)
}

// wantRefusal wants clients, or the proxy where it is one, to refuse registries that somebody else has
// certified.
func (s *site) wantRefusal(mode string) {
	s.Helper()
	if mode == "" {
		return
	}
	good, err := s.status()
	if good != http.StatusOK {
		s.Errorf("with the right authority: %d, %v", good, err)
	}
	own := s.authority
	s.authority, err = authority.New()
	check(s.T, err)
	if _, err := s.status(); err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		s.Errorf("with another authority: %v", err)
	}
	if mode != "reencrypt" {
		return
	}
	_, _, other := certify(s.T, s.authority, s.front.Address())
	check(s.T, s.front.WriteFile(caFile, other, 0o644))
	check(s.T, s.proxy.Reload(s.ctx))
	s.authority = own
	if got, err := s.status(); got != http.StatusServiceUnavailable {
		s.Errorf("with another authority on the proxy: %d, %v", got, err)
	}
}

// status asks the registry through the proxy.
func (s *site) status() (int, error) {
	client := s.client(s.front.Address())
	defer client.CloseIdleConnections()
	response, err := client.Get(s.url() + "/v2/")
	if err != nil {
		return 0, fmt.Errorf("cannot ask: %w", err)
	}
	return response.StatusCode, response.Body.Close()
}
