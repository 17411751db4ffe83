package load_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/charmzip"
	"docker-registry-operator/tests/gobuild"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/load"
	"docker-registry-operator/tests/machine"
)

const (
	// crowd is how many clients push and pull at a time.
	crowd = 50

	// calm is how many images pass after each change and before the next, so that clients are at
	// work when it begins and see what it led to.
	calm = crowd

	// loadPatience bounds the whole test. Two idle cores need about a minute.
	loadPatience = 10 * time.Minute

	registryName = "registry.test"
	loadUser     = "admin"
	oldPassword  = "first-password"
	newPassword  = "second-password"
)

// site is a unit under load, with TLS and a password, that clients on another machine use.
type site struct {
	ctx       context.Context
	charm     string
	model     *juju.Model
	app       *juju.Application
	unit      *juju.Unit
	away      *machine.Machine
	authority *authority.Authority
	crowd     *load.Crowd

	// roots are whom the clients trust.
	roots *x509.CertPool

	// port is where clients find the registry, and next where they go once nobody listens there.
	port, next atomic.Int64
}

// newSite deploys a unit with a password and further options.
func newSite(t *testing.T, options map[string]string) *site {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), loadPatience)
	t.Cleanup(cancel)
	network, err := machine.NewNetwork()
	check(t, err)
	t.Cleanup(func() { check(t, network.Close()) })
	s := &site{ctx: ctx}
	s.port.Store(5000)
	s.next.Store(5000)
	home, err := machine.New(ctx, machine.Options{Engine: true, Network: network})
	check(t, err)
	t.Cleanup(func() { check(t, home.Close()) })
	s.away, err = machine.New(ctx, machine.Options{Name: "clients", Network: network})
	check(t, err)
	t.Cleanup(func() { check(t, s.away.Close()) })
	s.model, err = juju.NewModel(ctx, network)
	check(t, err)
	t.Cleanup(func() { check(t, s.model.Close()) })

	s.authority, err = authority.New()
	check(t, err)
	s.roots = s.authority.Pool()
	s.charm, err = gobuild.Charm(ctx)
	check(t, err)
	config := map[string]string{"auth-basic-password": oldPassword}
	maps.Copy(config, options)
	s.app, err = s.model.Deploy(ctx, s.charm, juju.Options{Config: config}, home)
	check(t, err)
	check(t, s.app.WaitIdle(ctx))
	s.unit = s.app.Units()[0]
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dial connects as a client that knows of a change of the port does.
func (s *site) dial(ctx context.Context) (net.Conn, error) {
	conn, err := s.dialPort(ctx, s.port.Load())
	if errors.Is(err, syscall.ECONNREFUSED) {
		return s.dialPort(ctx, s.next.Load())
	}
	return conn, err
}

func (s *site) dialPort(ctx context.Context, port int64) (net.Conn, error) {
	return s.away.Dial(ctx, "tcp", net.JoinHostPort(s.unit.Machine().Address(), fmt.Sprint(port)))
}

// TestLoad changes a unit while 50 clients push and pull through its address: no request may fail.
func TestLoad(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	s := newSite(t, nil)
	s.config(s.certificate(t))(t)
	s.start(t)

	s.during(t, "log-level", s.config(map[string]string{"log-level": "debug"}))
	s.during(t, "storage-delete", s.changeDeletion)
	s.during(t, "password", s.changePassword)
	s.during(t, "certificate", s.changeCertificate)
	s.during(t, "port", s.changePort)
	s.during(t, "name", s.config(map[string]string{"registry-name": "images"}))
	s.during(t, "refresh", s.refresh)
	s.during(t, "native runtime", s.config(map[string]string{"registry-runtime": "native"}))
	s.during(t, "docker runtime", s.config(map[string]string{"registry-runtime": "docker"}))
}

// start sets clients to work until the test ends.
func (s *site) start(t *testing.T) {
	t.Helper()
	s.crowd = s.clients(t, load.Options{Clients: crowd, User: loadUser, Passwords: []string{oldPassword, newPassword}})
}

// clients sets clients of one user to work until the test ends.
func (s *site) clients(t *testing.T, options load.Options) *load.Crowd {
	t.Helper()
	options.URL, options.Dial, options.Roots = "https://"+registryName, s.dial, s.roots
	started := load.Start(options)
	t.Cleanup(started.Stop)
	check(t, started.Await(s.ctx, options.Clients))
	return started
}

// certificate is a new one of the site's authority, as options.
func (s *site) certificate(t *testing.T) map[string]string {
	t.Helper()
	options, err := s.authority.Options(registryName)
	check(t, err)
	return options
}

// during makes a change under load, waits until nothing is left to do, and looks for failures.
func (s *site) during(t *testing.T, name string, change func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		before, hooks := s.crowd.Count(), len(s.unit.Hooks())
		change(t)
		s.awaitHook(t, hooks)
		check(t, s.crowd.Await(s.ctx, calm))
		after := s.crowd.Count()

		failures := after.Failures[len(before.Failures):]
		for _, err := range failures[:min(len(failures), 5)] {
			t.Errorf("%.300v", err)
		}
		t.Logf("%d requests, %d images, %d failed, %d with a password that was refused",
			after.Requests-before.Requests, after.Images-before.Images, len(failures), after.Refused-before.Refused)
		for _, hook := range s.unit.Hooks()[hooks:] {
			t.Log(hook)
			if hook.Err != "" {
				t.Errorf("%s failed: %s", hook.Name, hook.Err)
			}
		}
		if status := s.unit.Status(); status.Status != "active" {
			t.Errorf("unit is %s", status)
		}
	})
}

// awaitHook waits until more than that many hooks have ended and nothing is left to do.
func (s *site) awaitHook(t *testing.T, hooks int) {
	t.Helper()
	for len(s.unit.Hooks()) == hooks {
		check(t, s.ctx.Err())
		time.Sleep(10 * time.Millisecond)
	}
	check(t, s.app.WaitIdle(s.ctx))
}

// config sets options and waits for the hook.
func (s *site) config(values map[string]string) func(t *testing.T) {
	return func(t *testing.T) {
		hooks := len(s.unit.Hooks())
		check(t, s.app.SetConfig(values))
		s.awaitHook(t, hooks)
	}
}

func (s *site) changeDeletion(t *testing.T) {
	const nosuch = "/v2/nosuch/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if got := s.ask(t, http.MethodDelete, nosuch, loadUser, oldPassword); got != http.StatusMethodNotAllowed {
		t.Errorf("deletion before: %d", got)
	}
	s.config(map[string]string{"storage-delete": "true"})(t)
	if got := s.ask(t, http.MethodDelete, nosuch, loadUser, oldPassword); got != http.StatusNotFound {
		t.Errorf("deletion after: %d", got)
	}
}

// changePassword has clients that know both passwords from the start and send the old one first. There
// is no moment at which both are right: whoever still sends the old one after the change is refused,
// and that is no failure. But the new one must be taken as soon as the old one is refused, and alone
// once the hook has ended.
func (s *site) changePassword(t *testing.T) {
	s.config(map[string]string{"auth-basic-password": newPassword})(t)
	s.crowd.SetPasswords(newPassword)
	if got := s.ask(t, http.MethodGet, "/v2/", loadUser, oldPassword); got != http.StatusUnauthorized {
		t.Errorf("the old password is still taken: %d", got)
	}
}

// changeCertificate changes to one of the same authority, which is all that the clients know.
func (s *site) changeCertificate(t *testing.T) {
	before := s.serial(t)
	s.config(s.certificate(t))(t)
	if after := s.serial(t); after == before {
		t.Errorf("certificate %s is still served", after)
	}
}

// changePort moves the clients, as a proxy before several ports does: a connection that the old port
// refuses is opened to the new one.
func (s *site) changePort(t *testing.T) {
	s.next.Store(5443)
	s.config(map[string]string{"registry-port": "5443"})(t)
	s.port.Store(5443)
}

// refresh replaces the charm by one that brings another registry.
func (s *site) refresh(t *testing.T) {
	next := filepath.Join(t.TempDir(), "next.charm")
	check(t, charmzip.Rebuild(next, s.charm))
	check(t, s.app.Refresh(next))
}

// ask returns the status of the answer to a request.
func (s *site) ask(t *testing.T, method, path, user, password string) int {
	t.Helper()
	return s.request(t, method, path, user, password).StatusCode
}

// serial names the certificate that is served.
func (s *site) serial(t *testing.T) string {
	t.Helper()
	return s.request(t, http.MethodGet, "/v2/", loadUser, "").TLS.PeerCertificates[0].SerialNumber.String()
}

// request sends a request over a connection of its own.
func (s *site) request(t *testing.T, method, path, user, password string) *http.Response {
	t.Helper()
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx) },
		TLSClientConfig:   &tls.Config{RootCAs: s.roots},
		DisableKeepAlives: true,
	}
	request, err := http.NewRequestWithContext(s.ctx, method, "https://"+registryName+path, nil)
	check(t, err)
	request.SetBasicAuth(user, password)
	response, err := (&http.Client{Transport: transport}).Do(request)
	check(t, err)
	check(t, response.Body.Close())
	return response
}
