package clients_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/machine"
)

const (
	nrpeEndpoint = "nrpe-external-master"

	plugins   = "/usr/lib/nagios/plugins/"
	checkNRPE = plugins + "check_nrpe"

	answers     = "docker_registry"
	certificate = "docker_registry_certificate"
	disk        = "docker_registry_disk"
)

// states are what a plugin's exit codes say.
var states = []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

// nagios is a machine as the nrpe charm sets it up: nrpe runs, and there is a place for what the Nagios
// server collects.
type nagios struct {
	*machine.Machine
	ctx context.Context
}

func newNagios(ctx context.Context, t *testing.T, m *machine.Machine) nagios {
	t.Helper()
	n := nagios{m, ctx}
	n.run(t, "install", "-d", "-o", "nagios", "/var/lib/nagios/export")
	n.run(t, "service", "nagios-nrpe-server", "start")
	return n
}

func (n nagios) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := n.Command(n.ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("cannot run %s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

// ask asks nrpe for a check as a Nagios server does. nrpe is there a moment before it listens.
func (n nagios) ask(t *testing.T, name string) (state, text string) {
	t.Helper()
	for {
		out, err := n.Command(n.ctx, checkNRPE, "-H", "127.0.0.1", "-c", "check_"+name).CombinedOutput()
		exit := (*exec.ExitError)(nil)
		switch {
		case strings.Contains(string(out), "port 5666: Connection refused"):
			check(t, n.ctx.Err())
			time.Sleep(20 * time.Millisecond)
			continue
		case err == nil:
			return states[0], string(out)
		case errors.As(err, &exit) && exit.ExitCode() < len(states):
			return states[exit.ExitCode()], string(out)
		}
		t.Fatalf("cannot ask nrpe: %v: %s", err, out)
	}
}

// wantStates asks for every check that there may be. UNKNOWN is what nrpe says of one that it was not
// told of.
func (n nagios) wantStates(t *testing.T, want map[string]string) {
	t.Helper()
	got, texts := map[string]string{}, map[string]string{}
	for _, check := range []string{answers, certificate, disk} {
		got[check], texts[check] = n.ask(t, check)
		if undefined := strings.Contains(texts[check], "not defined"); undefined != (got[check] == "UNKNOWN") {
			t.Errorf("%s is %s: %s", check, got[check], texts[check])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("checks (-want +got):\n%s%v", diff, texts)
	}
}

// files are those for nrpe and for the Nagios server, without comments and with a blank for whatever
// stands between two words.
func (n nagios) files(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for path := range strings.Lines(n.run(t, "find", "/etc/nagios/nrpe.d", "/var/lib/nagios/export", "-type", "f")) {
		path = strings.TrimSpace(path)
		content, err := n.ReadFile(path)
		check(t, err)
		var lines []string
		for line := range strings.Lines(string(content)) {
			if words := strings.Join(strings.Fields(line), " "); words != "" && !strings.HasPrefix(words, "#") {
				lines = append(lines, words)
			}
		}
		files[path] = strings.Join(lines, "\n")
	}
	return files
}

func (n nagios) pid(t *testing.T) string {
	t.Helper()
	pid, err := n.ReadFile("/run/nagios/nrpe.pid")
	check(t, err)
	return string(pid)
}

// endingIn returns the options for a certificate of a year that ends in so many days.
func endingIn(t *testing.T, days int) map[string]string {
	t.Helper()
	issuer, err := authority.New()
	check(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	end := time.Now().AddDate(0, 0, days)
	cert, err := issuer.Sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "registry"}, DNSNames: []string{"registry"},
		NotBefore: end.AddDate(-1, 0, 0), NotAfter: end,
	}, key.Public())
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	blob := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	return map[string]string{
		"tls-cert-blob": blob(cert), "tls-ca-blob": blob(issuer.Chain()[0]),
		"tls-key-blob": blob(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))),
	}
}

// TestNagios asks for the checks of a unit that its operator does things to.
func TestNagios(t *testing.T) {
	need(t, "/usr/sbin/nrpe", checkNRPE, plugins+"check_http")
	s := newSite(t, nil)
	unit := s.app.Units()[0]
	n := newNagios(s.ctx, t, unit.Machine())
	before := n.files(t)
	var err error
	s.relation, err = s.app.Relate(nrpeEndpoint, "nrpe")
	check(t, err)
	check(t, s.relation.Set("nrpe/0", map[string]string{"ingress-address": n.Address()}))
	check(t, s.app.WaitIdle(s.ctx))

	t.Run("HTTP", func(t *testing.T) {
		s.wantBags(t, monitors(answers, disk))
		n.wantStates(t, map[string]string{answers: "OK", certificate: "UNKNOWN", disk: "OK"})
	})
	t.Run("stopped", func(t *testing.T) {
		s.act(t, "stop")
		n.wantStates(t, map[string]string{answers: "CRITICAL", certificate: "UNKNOWN", disk: "OK"})
		s.act(t, "start")
		n.wantStates(t, map[string]string{answers: "OK", certificate: "UNKNOWN", disk: "OK"})
	})
	t.Run("TLS and password", func(t *testing.T) {
		s.configure(t, map[string]string{"auth-basic-password": newPassword})
		s.configure(t, endingIn(t, 200))
		s.wantBags(t, monitors(answers, certificate, disk))
		n.wantStates(t, map[string]string{answers: "OK", certificate: "OK", disk: "OK"})
	})
	t.Run("old certificate", func(t *testing.T) {
		s.configure(t, endingIn(t, 20))
		n.wantStates(t, map[string]string{answers: "OK", certificate: "WARNING", disk: "OK"})
		s.configure(t, endingIn(t, 3))
		n.wantStates(t, map[string]string{answers: "OK", certificate: "CRITICAL", disk: "OK"})
	})
	t.Run("client certificates", func(t *testing.T) { s.clientCertificates(t, n) })
	t.Run("no restart", func(t *testing.T) {
		pid := n.pid(t)
		unit.UpdateStatus()
		check(t, s.app.WaitIdle(s.ctx))
		if after := n.pid(t); after != pid {
			t.Errorf("nrpe was %s and is %s", pid, after)
		}
	})
	t.Run("full disk", func(t *testing.T) {
		n.run(t, "mount", "-t", "tmpfs", "-o", "size=4m,mode=0750,uid=65532,gid=65532", "none", "/srv/registry")
		n.run(t, "sh", "-c", "head -c 4000k /dev/zero >/srv/registry/images")
		n.wantStates(t, map[string]string{answers: "OK", certificate: "OK", disk: "CRITICAL"})
		n.run(t, "umount", "/srv/registry")
	})
	t.Run("names", func(t *testing.T) { s.nagiosNames(t, n, before) })
	t.Run("no relation", func(t *testing.T) {
		s.relation.Remove()
		check(t, s.app.WaitIdle(s.ctx))
		if diff := cmp.Diff(before, n.files(t)); diff != "" {
			t.Errorf("files (-before +after):\n%s", diff)
		}
		n.wantStates(t, map[string]string{answers: "UNKNOWN", certificate: "UNKNOWN", disk: "UNKNOWN"})
	})
}

// act runs an action of the first unit.
func (s *site) act(t *testing.T, name string) {
	t.Helper()
	action, err := s.app.Units()[0].RunAction(s.ctx, name, nil)
	check(t, err)
	if action.Status != "completed" {
		t.Fatalf("action %s: %s", name, action.Message)
	}
}

// clientCertificates has the registry refuse whoever shows none, as NRPE does.
func (s *site) clientCertificates(t *testing.T, n nagios) {
	options := endingIn(t, 200)
	options["tls-client-ca"], options["tls-client-auth"] = options["tls-ca-blob"], "require"
	s.configure(t, options)
	n.wantStates(t, map[string]string{answers: "OK", certificate: "OK", disk: "OK"})
	s.act(t, "stop")
	n.wantStates(t, map[string]string{answers: "CRITICAL", certificate: "CRITICAL", disk: "OK"})
	s.act(t, "start")
}

// nagiosNames changes what Nagios calls the machine, and what it is told of it.
func (s *site) nagiosNames(t *testing.T, n nagios, before map[string]string) {
	n.wantFiles(t, before, "juju-docker-registry-0", "juju")
	s.configure(t, map[string]string{"nagios_context": "prod"})
	n.wantFiles(t, before, "prod-docker-registry-0", "prod")
	s.configure(t, map[string]string{"nagios_servicegroups": "images,eu"})
	n.wantFiles(t, before, "prod-docker-registry-0", "images,eu")
	check(t, s.relation.Set("nrpe/0", map[string]string{"nagios_hostname": "prod-host-7"}))
	check(t, s.app.WaitIdle(s.ctx))
	n.wantFiles(t, before, "prod-host-7", "images,eu")
}

// monitors is what the unit tells of its checks.
func monitors(checks ...string) map[string]string {
	text := "monitors:\n  remote:\n    nrpe:\n"
	for _, check := range checks {
		text += "      " + check + ":\n        command: check_" + check + "\n"
	}
	return map[string]string{"primary": "True", "monitors": text}
}

// wantFiles compares the files of a registry that demands client certificates.
func (n nagios) wantFiles(t *testing.T, before map[string]string, host, groups string) {
	t.Helper()
	got := n.files(t)
	for path, content := range before {
		if got[path] != content {
			t.Errorf("%s has become %q", path, got[path])
		}
		delete(got, path)
	}
	commands := map[string]string{
		answers:     plugins + "check_tcp -H 127.0.0.1 -p 5000 -S",
		certificate: plugins + "check_http -S -I 127.0.0.1 -p 5000 -C 29,7",
		disk:        plugins + "check_disk -w 20% -c 10% -W 20% -K 10% -p /srv/registry",
	}
	texts := map[string]string{
		answers: "Registry answers", certificate: "Certificate of the registry is valid", disk: "Images have free space",
	}
	want := map[string]string{}
	for name, command := range commands {
		want["/etc/nagios/nrpe.d/check_"+name+".cfg"] = "command[check_" + name + "]=" + command
		want["/var/lib/nagios/export/service__"+host+"_check_"+name+".cfg"] = "define service {\nuse active-service\nhost_name " + host +
			"\nservice_description " + host + "[" + name + "] " + texts[name] +
			"\ncheck_command check_nrpe!check_" + name + "\nservicegroups " + groups + "\n}"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
