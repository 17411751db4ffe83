package clients_test

import (
	"bytes"
	"strings"
	"testing"
)

// TestHelm packs charts, pushes them and pulls them without signing in and after it.
func TestHelm(t *testing.T) {
	s := newClientSite(t, "helm.sh/helm/v3/cmd/helm", "v3.22.0")
	helm := func(why string, args ...string) string {
		t.Helper()
		return s.do(t, why, accessPassword, append([]string{"helm"}, args...)...)
	}
	remote := func(why string, args ...string) string {
		t.Helper()
		return helm(why, append(args, "--ca-file", s.caFile())...)
	}
	show := func(version, reference string) {
		t.Helper()
		if said := remote("", "show", "chart", reference); !strings.Contains(said, "\nversion: "+version+"\n") {
			t.Errorf("%s is not of version %s:\n%s", reference, version, said)
		}
	}
	public, inner := "oci://"+s.netloc()+"/public", "oci://"+s.netloc()+"/inner"
	helm("", "create", "/srv/app")
	versions := []string{"1.0.0", "1.2.3", "2.0.0+build.5"}
	for _, version := range versions {
		helm("", "package", "/srv/app", "--version", version, "--destination", "/srv")
	}
	const chart = "app-1.2.3.tgz"

	remote("401: unauthorized", "push", "/srv/"+chart, public)
	s.do(t, "401: unauthorized", "guess", "helm", "registry", "login", s.netloc(), "--ca-file", s.caFile(), "-u", "ci", "--password-stdin")
	remote("", "registry", "login", s.netloc(), "-u", "guest", "--password-stdin")
	remote("403: denied", "push", "/srv/"+chart, public)
	remote("", "registry", "login", s.netloc(), "-u", "ci", "--password-stdin")
	for _, version := range versions {
		remote("", "push", "/srv/app-"+version+".tgz", public)
	}
	digest := digestOf.FindString(remote("", "push", "/srv/"+chart, inner))
	show("1.2.3", inner+"/app@"+digest)

	helm("", "registry", "logout", s.netloc())
	remote("401: unauthorized", "show", "chart", inner+"/app@"+digest)
	// Of the tags of the repository helm takes the newest one that is wanted.
	show("2.0.0+build.5", public+"/app")
	remote("", "pull", public+"/app", "--version", "^1", "--destination", "/tmp")
	pushed, err := s.machine.ReadFile("/srv/" + chart)
	check(t, err)
	pulled, err := s.machine.ReadFile("/tmp/" + chart)
	check(t, err)
	if !bytes.Equal(pulled, pushed) {
		t.Error("another chart was pulled than was pushed")
	}
}
