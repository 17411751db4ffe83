package clients_test

import (
	"strings"
	"testing"
)

// TestCosign signs an image and attests something of it, in both of the ways that cosign has, and copies it.
func TestCosign(t *testing.T) {
	s := newClientSite(t, "github.com/sigstore/cosign/v3/cmd/cosign", "v3.1.3")
	cosign := func(why string, args ...string) string {
		t.Helper()
		return s.do(t, why, accessPassword, append([]string{"env", "COSIGN_PASSWORD=", "cosign"}, args...)...)
	}
	remote := func(why, command string, args ...string) string {
		t.Helper()
		return cosign(why, append([]string{command, "--registry-cacert", s.caFile()}, args...)...)
	}
	// Nothing is told to the public log of signatures, which machines do not reach.
	sign := func(why string, args ...string) {
		t.Helper()
		remote(why, args[0], append([]string{"--key", "/srv/cosign.key", "--use-signing-config=false", "--tlog-upload=false"}, args[1:]...)...)
	}
	verify := func(why string, args ...string) {
		t.Helper()
		remote(why, args[0], append([]string{"--key", "/srv/cosign.pub", "--insecure-ignore-tlog"}, args[1:]...)...)
	}
	tag, inner := s.netloc()+"/public/app:1.0", s.netloc()+"/inner/app:1.0"
	importImage(s.ctx, t, s.machine, tag, "signed")
	cosign("", "generate-key-pair", "--output-key-prefix", "/srv/cosign")
	cosign("", "login", s.netloc(), "--username", "ci", "--password-stdin")
	image := s.netloc() + "/public/app@" + digestOf.FindString(s.do(t, "", "", "docker", "push", tag))

	verify("no signatures found", "verify", image)
	cosign("", "login", s.netloc(), "--username", "guest", "--password-stdin")
	sign("DENIED", "sign", image)
	cosign("", "login", s.netloc(), "--username", "ci", "--password-stdin")
	s.write("/srv/predicate", `{"made": "by hand"}`)
	// A signature and an attestation each as a referrer, then at a tag.
	for _, kept := range []string{"--new-bundle-format=true", "--new-bundle-format=false"} {
		sign("", "sign", kept, image)
		sign("", "attest", kept, "--predicate", "/srv/predicate", image)
		verify("", "verify", kept, image)
		verify("", "verify-attestation", kept, image)
	}
	// cosign copies what is at tags. It also gives the copy the tag that others use for referrers.
	remote("", "copy", image, inner)
	verify("", "verify", inner)
	sign("", "sign", inner)
	verify("", "verify", inner)

	s.do(t, "", "", "docker", "logout", s.netloc())
	verify("UNAUTHORIZED", "verify", inner)
	verify("", "verify", image)
	tree := remote("", "tree", image)
	for _, want := range []string{"https://sigstore.dev/cosign/sign/v1 artifacts via OCI referrer", "Signatures", "Attestations"} {
		if !strings.Contains(tree, want) {
			t.Errorf("the tree lacks %s:\n%s", want, tree)
		}
	}
}
