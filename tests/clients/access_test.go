package clients_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/clients"
	"docker-registry-operator/tests/engine/program"
	"docker-registry-operator/tests/machine"
)

const (
	// accessPassword is that of every user of an accessSite.
	accessPassword = "their password"

	// publicPolicy lets everybody pull what is public, and one of the users push.
	publicPolicy = "anonymous public/** pull\nci ** push\n"
)

// digestOf finds the digest of what a client says that it has pushed.
var digestOf = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// An accessSite is a registry with a policy on a machine that has all installed clients.
type accessSite struct {
	*testing.T
	ctx     context.Context
	machine *machine.Machine
	ca      string
	options map[string]string
}

func newAccessSite(t *testing.T) *accessSite {
	t.Helper()
	ctx, network := newNetwork(t)
	m, err := machine.New(ctx, machine.Options{Name: "clients", Engine: true, Network: network})
	check(t, err)
	t.Cleanup(func() { check(t, m.Close()) })
	issuer, err := authority.New()
	check(t, err)
	options, err := issuer.Options(m.Address())
	check(t, err)
	s := &accessSite{T: t, ctx: ctx, machine: m, ca: issuer.Chain()[0], options: options}
	s.serve()
	return s
}

// newClientSite also has a client of that release, which it compiles.
func newClientSite(t *testing.T, source, version string) *accessSite {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles programs")
	}
	needRoot(t)
	need(t, "docker")
	path, err := program.Install(t.Context(), source, version)
	check(t, err)
	s := newAccessSite(t)
	s.install(path)
	return s
}

// netloc is how the images of the registry begin.
func (s *accessSite) netloc() string { return s.machine.Address() + ":5000" }

// caFile is where Docker looks for the authority.
func (s *accessSite) caFile() string { return "/etc/docker/certs.d/" + s.netloc() + "/ca.crt" }

func (s *accessSite) write(path, content string) {
	s.Helper()
	check(s.T, s.machine.WriteFile(path, []byte(content), 0o644))
}

// install puts a program on the machine.
func (s *accessSite) install(path string) {
	s.Helper()
	content, err := os.ReadFile(path)
	check(s.T, err)
	check(s.T, s.machine.WriteFile("/usr/local/bin/"+filepath.Base(path), content, 0o755))
}

// serve starts the registry. The engine and the system trust its authority.
func (s *accessSite) serve() {
	s.Helper()
	packed, err := charm()
	check(s.T, err)
	// The program lies beside the charm that brings it.
	s.install(filepath.Join(filepath.Dir(packed), runtime.GOARCH, "registry"))
	hash, err := bcrypt.GenerateFromPassword([]byte(accessPassword), bcrypt.MinCost)
	check(s.T, err)
	s.write("/etc/access/users", fmt.Sprintf("ci:%s\nguest:%s\n", hash, hash))
	s.write("/etc/access/policy", publicPolicy)
	for file, option := range map[string]string{"cert.pem": "tls-cert-blob", "key.pem": "tls-key-blob"} {
		content, err := base64.StdEncoding.DecodeString(s.options[option])
		check(s.T, err)
		s.write("/etc/access/"+file, string(content))
	}
	s.write(s.caFile(), s.ca)
	s.write("/etc/access/config.yml", `
version: 0.1
storage: {filesystem: {rootdirectory: /srv/access}}
auth: {access: {realm: registry, users: /etc/access/users, policy: /etc/access/policy}}
http: {addr: ":5000", secret: shared, tls: {certificate: /etc/access/cert.pem, key: /etc/access/key.pem}}
`)
	cmd := s.machine.Command(s.ctx, "/usr/local/bin/registry", "serve", "/etc/access/config.yml")
	check(s.T, cmd.Start())
	s.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for {
		conn, err := s.machine.Dial(s.ctx, "tcp", "127.0.0.1:5000")
		if err == nil {
			check(s.T, conn.Close())
			return
		}
		check(s.T, s.ctx.Err())
		time.Sleep(20 * time.Millisecond)
	}
}

// do runs a client, which must succeed, or fail and say why, and returns what it says.
func (s *accessSite) do(t *testing.T, why, stdin string, args ...string) string {
	t.Helper()
	cmd := s.machine.Command(s.ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if failed := err != nil; failed != (why != "") || !strings.Contains(string(out), why) {
		t.Errorf("%q: %v, want %q\n%s", args, err, why, out)
	}
	return string(out)
}

// TestAccess has real clients pull without signing in and push after it, from one registry.
func TestAccess(t *testing.T) {
	need(t, "docker", "containerd", "ctr", "skopeo", "update-ca-certificates")
	s := newAccessSite(t)
	t.Run("docker", s.docker)
	t.Run("containerd", s.containerd)
	t.Run("ctr", s.ctr)
	t.Run("skopeo", s.skopeo)
}

func (s *accessSite) docker(t *testing.T) {
	image, inner := s.netloc()+"/public/app:1.0", s.netloc()+"/inner/app:1.0"
	importImage(s.ctx, t, s.machine, image, "public")
	importImage(s.ctx, t, s.machine, inner, "inner")
	docker := func(why, stdin string, args ...string) {
		t.Helper()
		s.do(t, why, stdin, append([]string{"docker"}, args...)...)
	}
	docker("denied", "", "push", image)
	docker("unauthorized", "guess", "login", s.netloc(), "--username", "ci", "--password-stdin")
	docker("", accessPassword, "login", s.netloc(), "--username", "guest", "--password-stdin")
	docker("denied", "", "push", image)
	docker("", accessPassword, "login", s.netloc(), "--username", "ci", "--password-stdin")
	docker("", "", "push", image)
	docker("", "", "push", inner)
	docker("", "", "rmi", image, inner)
	docker("", "", "pull", inner)
	docker("", "", "logout", s.netloc())
	docker("", "", "rmi", inner)
	docker("", "", "pull", image)
	docker("denied", "", "pull", inner)
}

// containerd pulls as the kubelet has it do.
func (s *accessSite) containerd(t *testing.T) {
	node := newNode(t, s.machine)
	t.Cleanup(func() { check(t, node.Stop(context.Background())) })
	netloc, user, right, wrong := s.netloc(), "ci", accessPassword, "guess"
	for _, test := range []struct {
		name     string
		password *string
		image    string
		because  string
	}{
		{"without signing in", nil, "public/app", ""},
		{"without signing in, not public", nil, "inner/app", "authorization failed"},
		{"signed in", &right, "inner/app", ""},
		{"wrong password", &wrong, "inner/app", "401"},
	} {
		registry := clients.Registry{Netloc: &netloc, CA: &s.ca}
		if test.password != nil {
			registry.User, registry.Password = &user, test.password
		}
		check(t, node.Configure(s.ctx, registry))
		check(t, node.Forget(s.ctx, netloc+"/"+test.image+":1.0"))
		digest, err := node.Pull(s.ctx, netloc+"/"+test.image+":1.0")
		if failed := err != nil; failed != (test.because != "") || failed && !strings.Contains(err.Error(), test.because) {
			t.Errorf("%s: pulled %q, %v, want %q", test.name, digest, err, test.because)
		}
	}
}

// ctr pulls and pushes by containerd without the rules of Kubernetes.
func (s *accessSite) ctr(t *testing.T) {
	node := newNode(t, s.machine)
	netloc := s.netloc()
	check(t, node.Configure(s.ctx, clients.Registry{Netloc: &netloc, CA: &s.ca}))
	t.Cleanup(func() { check(t, node.Stop(context.Background())) })
	source, target := netloc+"/public/app:1.0", netloc+"/public/copy:1.0"
	run := func(why string, args ...string) {
		t.Helper()
		s.do(t, why, "", append([]string{"ctr", "images"}, args...)...)
	}
	run("", "pull", source)
	run("", "tag", source, target)
	run("authorization failed", "push", target)
	run("403", "push", "--user", "guest:"+accessPassword, target)
	run("", "push", "--user", "ci:"+accessPassword, target)
	run("", "pull", target)
}

func (s *accessSite) skopeo(t *testing.T) {
	source, target := "docker://"+s.netloc()+"/public/app:1.0", "docker://"+s.netloc()+"/inner/copy:1.0"
	run := func(why string, args ...string) {
		t.Helper()
		s.do(t, why, "", append([]string{"skopeo", "--insecure-policy"}, args...)...)
	}
	run("", "inspect", source)
	run("denied", "copy", source, target)
	run("unauthorized", "copy", "--dest-creds", "ci:guess", source, target)
	run("403", "copy", "--dest-creds", "guest:"+accessPassword, source, target)
	run("", "copy", "--dest-creds", "ci:"+accessPassword, source, target)
	run("unauthorized", "inspect", target)
	run("", "inspect", "--creds", "ci:"+accessPassword, target)
}
