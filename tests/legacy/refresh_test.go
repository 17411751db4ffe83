package legacy_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/legacy"
)

// TestPlain refreshes a unit that serves plain HTTP and asks for a password, under the eyes of a client
// that pulls all the time. It has the machine for itself, because it tells how long the client waits.
func TestPlain(t *testing.T) {
	s := newSite(t, 1, map[string]string{"auth-basic-password": "s3cret"})
	s.serve()
	c := newClient(s.machines[0], 5000, nil).as("admin", "s3cret")
	all := s.publish(c, 100)
	daemon := s.read(0, "/etc/docker/daemon.json")

	pulling := startPuller(s.ctx, c, all)
	s.refresh(nil)
	pulling.wantOneGap(t)

	s.noFailure()
	s.wantStatus(0, "active: Ready at "+s.machines[0].Address()+":5000 (http).")
	s.pull(c, all)
	s.must(c.push(s.ctx, images(101)[100]))
	s.container(0, "registry")
	s.buried(0)
	s.same("cost of the password", s.on(0, "cut -d$ -f3 /etc/docker/registry/htpasswd"), "10")
	s.same("daemon.json", s.read(0, "/etc/docker/daemon.json"), daemon)
	s.same("ports", s.app.Units()[0].OpenedPorts(), []string{"5000/tcp"})
	s.same("files", s.on(0, "ls -A /etc/docker/registry /etc/docker"), "/etc/docker:\ndaemon.json\nkey.json\nregistry\n\n/etc/docker/registry:\nconfig.yml\nhtpasswd")
	s.quiet(0)
	s.removed(0)
}

// TestRelatedCertificate refreshes a unit whose certificate is from easyrsa, with a container runtime
// and NRPE related to it. The registry of the former charm wants a certificate of its clients.
func TestRelatedCertificate(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, map[string]string{"auth-basic-password": "s3cret"})
	easyrsa := newEasyrsa(s)
	nrpe := s.relate("nrpe-external-master", "nrpe", nil)
	containerd := s.relate("docker-registry", "containerd", nil)
	monitor, err := s.former[0].Monitor()
	s.must(err)
	s.must(s.former[0].Tell(nrpe, monitor))
	url := s.machines[0].Address() + ":5000"
	told := map[string]string{
		"registry_netloc": `"` + url + `"`, "registry_url": `"https://` + url + `"`,
		"basic_user": `"admin"`, "basic_password": `"s3cret"`, "tls_ca": quoted(t, easyrsa.ca),
	}
	s.must(s.former[0].Tell(containerd, told))
	s.serve()
	c := newClient(s.machines[0], 5000, easyrsa.client()).as("admin", "s3cret")
	all := s.publish(c, 20)
	asked, certificate := easyrsa.relation.Get("docker-registry/0"), s.served(0, 5000)
	before := containerd.Get("docker-registry/0")
	if s.served(0, 5000).Issuer.CommonName != "Test authority" {
		t.Fatalf("the former registry serves a certificate of %s", certificate.Issuer)
	}

	pulling := startPuller(s.ctx, c, all)
	s.refresh(nil)
	pulling.wantOneGap(t)

	s.noFailure()
	s.wantStatus(0, "active: Ready at "+url+" (https).")
	s.container(0, "registry")
	s.buried(0)
	s.pull(newClient(s.machines[0], 5000, easyrsa.trust()).as("admin", "s3cret"), all)
	s.same("serial number", s.served(0, 5000).SerialNumber.String(), certificate.SerialNumber.String())
	s.same("cost of the password", s.on(0, "cut -d$ -f3 /etc/docker/registry/htpasswd"), "10")
	s.same("databag of containerd", containerd.Get("docker-registry/0"), before)
	now := easyrsa.relation.Get("docker-registry/0")
	delete(now, "certificate_signing_requests")
	s.same("databag of easyrsa", now, asked)
	if bag := nrpe.Get("docker-registry/0"); bag["timestamp"] != "" || bag["primary"] != "True" ||
		!strings.Contains(bag["monitors"], "check_docker_registry_certificate") || strings.Contains(bag["monitors"], "check_docker\n") {
		t.Errorf("databag of NRPE: %v", bag)
	}
	s.same("what NRPE was told", s.on(0, "cat "+legacy.Restarts), "restart")
	s.quiet(0)
	s.removed(0)
}

// TestCertificateOfOptions refreshes a unit whose certificate is from options, which the former charm
// wrote to files, and resets them: the registry then serves plain HTTP.
func TestCertificateOfOptions(t *testing.T) {
	t.Parallel()
	authority, err := authority.New()
	if err != nil {
		t.Fatal(err)
	}
	options, err := authority.Options("registry.example.com")
	if err != nil {
		t.Fatal(err)
	}
	// Clients of the former charm would need certificates with it.
	delete(options, "tls-ca-blob")
	options["tls-cert-path"] = "/srv/tls/registry.crt"
	s := newSite(t, 1, options)
	s.serve()
	trust := &tls.Config{RootCAs: authority.Pool(), ServerName: "registry.example.com"}
	c := newClient(s.machines[0], 5000, trust)
	all, certificate := s.publish(c, 10), s.served(0, 5000)

	pulling := startPuller(s.ctx, c, all)
	s.refresh(nil)
	pulling.wantOneGap(t)
	s.noFailure()
	s.wantStatus(0, "active: Ready at "+s.machines[0].Address()+":5000 (https).")
	s.pull(c, all)
	s.same("serial number", s.served(0, 5000).SerialNumber.String(), certificate.SerialNumber.String())
	// Nobody but the registry may read the key any more.
	s.same("mode of the key", s.on(0, "stat -c %a /etc/docker/registry/registry.key"), "600")

	s.after("config-changed", func() { s.must(s.app.ResetConfig("tls-cert-blob", "tls-key-blob")) })
	s.noFailure()
	s.wantStatus(0, "active: Ready at "+s.machines[0].Address()+":5000 (http).")
	s.pull(newClient(s.machines[0], 5000, nil), all)
	s.buried(0)
	s.gone(0, "/srv/tls/registry.crt")
	s.removed(0)
}

// TestOperatorsOwn refreshes a unit whose port, name and image are the operator's choice, and whose
// certificate he has put there by hand. A proxy is related to it.
func TestOperatorsOwn(t *testing.T) {
	t.Parallel()
	config := map[string]string{
		"registry-name": "images", "registry-port": "5443", "debug-port": "5444", "registry-image": "registry:2",
		"tls-cert-path": "/etc/ssl/registry/cert.pem", "tls-key-path": "/etc/ssl/registry/key.pem", "tls-ca-path": "",
	}
	s := newSite(t, 1, config)
	authority, err := authority.New()
	s.must(err)
	options, err := authority.Options("registry.example.com")
	s.must(err)
	for path, blob := range map[string]string{config["tls-cert-path"]: options["tls-cert-blob"], config["tls-key-path"]: options["tls-key-blob"]} {
		content, err := base64.StdEncoding.DecodeString(blob)
		s.must(errors.Join(err, s.machines[0].WriteFile(path, content, 0o640)))
	}
	haproxy := s.relate("website", "haproxy", nil)
	s.must(s.former[0].Tell(haproxy, map[string]string{
		"hostname": s.machines[0].Address(), "private-address": s.machines[0].Address(), "port": "5443",
		"services": "\n- service_name: docker-registry\n", "all_services": "of an early revision",
	}))
	s.serve()
	c := newClient(s.machines[0], 5443, &tls.Config{RootCAs: authority.Pool(), ServerName: "registry.example.com"})
	all := s.publish(c, 10)
	image, owned := s.on(0, "docker inspect -f '{{.Image}}' images"), s.on(0, "stat -c '%n %a %u %y' /etc/ssl/registry/*")

	s.refresh(nil)
	s.noFailure()
	s.pull(c, all)
	s.wantStatus(0, "active: Ready at "+s.machines[0].Address()+":5443 (https, proxied).")
	s.container(0, "images")
	s.same("image", s.on(0, "docker inspect -f '{{.Image}}' images"), image)
	s.same("the operator's files", s.on(0, "stat -c '%n %a %u %y' /etc/ssl/registry/*"), owned)
	bag := haproxy.Get("docker-registry/0")
	if _, still := bag["all_services"]; still || !strings.HasPrefix(bag["services"], "- service_name: docker-registry\n") {
		t.Errorf("databag of the proxy: %v", bag)
	}
	s.quiet(0)
	s.removed(0)
	s.same("the operator's files", s.on(0, "stat -c '%n %a %u %y' /etc/ssl/registry/*"), owned)
}

// TestOneAfterTheOther refreshes two units, one of which is late. They share their images, so an upload
// may go on where it did not begin.
func TestOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, nil)
	units := s.app.Units()
	for unit := range units {
		s.on(unit, "mkdir /srv/registry")
	}
	s.must(s.machines[0].Share("/srv/registry", s.machines[1]))
	s.serve()
	first, second := newClient(s.machines[0], 5000, nil), newClient(s.machines[1], 5000, nil)
	all := s.publish(first, 5)
	across := func(from, to *client, content string) {
		t.Helper()
		place, err := from.begin(s.ctx, "across/units")
		if err == nil {
			err = to.end(s.ctx, place, []byte(content))
		}
		s.must(err)
	}
	across(first, second, "both units are of the former charm")

	units[0].StopAgent()
	s.after("config-changed", func() { s.must(s.app.Refresh(s.charm)) }, units[1])
	s.container(1, "registry")
	s.pull(first, all)
	s.pull(second, all)
	across(first, second, "from the former charm to this one")
	across(second, first, "from this charm to the former one")
	s.same("http-secret", s.app.LeaderSettings()["http-secret"], legacy.Secret)

	s.after("config-changed", func() { s.must(units[0].StartAgent(s.ctx)) }, units[0])
	s.settle()
	s.noFailure()
	s.container(0, "registry")
	s.pull(first, all)
	across(first, second, "both units are of this charm")
	across(second, first, "and the other way round")
	s.same("http-secret", s.app.LeaderSettings(), map[string]string{"http-secret": legacy.Secret})
	for unit := range units {
		s.buried(unit)
		if !strings.Contains(s.read(unit, "/etc/docker/registry/config.yml"), "secret: "+legacy.Secret) {
			t.Errorf("unit %d has another http.secret", unit)
		}
	}
}

// TestThereAndBack refreshes, goes back as docs/refresh.md says, and refreshes again.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, map[string]string{"auth-basic-password": "s3cret"})
	s.serve()
	c := newClient(s.machines[0], 5000, nil).as("admin", "s3cret")
	all, unit := s.publish(c, 5), s.app.Units()[0]
	s.refresh(nil)

	done, err := unit.RunAction(s.ctx, "stop", map[string]any{"remove": true})
	s.must(err)
	s.same("action", done.Status, "completed")
	s.after("config-changed", func() { s.must(s.app.Refresh(s.standIn)) })
	s.same("http-secret", s.app.LeaderSettings()["http-secret"], legacy.Secret)
	s.same("containers", s.on(0, "docker ps -aq"), "")
	// Without its memory the former charm does all again.
	s.serve()
	s.same("containers", s.on(0, "docker ps -a --format '{{.Names}} {{.Image}}'"), "registry registry:2")
	s.pull(c, all)
	s.must(c.push(s.ctx, images(6)[5]))

	s.refresh(nil)
	s.noFailure()
	s.wantStatus(0, "active: Ready at "+s.machines[0].Address()+":5000 (http).")
	s.pull(c, images(6))
	s.container(0, "registry")
	s.removed(0)
}
