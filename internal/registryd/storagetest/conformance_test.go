package storagetest

import (
	"crypto/sha512"
	"encoding/hex"
	"io"
	"slices"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"docker-registry-operator/tests/engine/conformance"
)

// optional are the checks that the suite leaves out unless it is told. Only OCI_DATA_SPARSE stays out: the
// registry refuses an image whose layers it does not have, as distribution does.
var optional = []string{
	"OCI_API_BLOBS_DIGEST_HEADER=true", "OCI_API_BLOBS_UPLOAD_CANCEL=true", "OCI_API_MANIFESTS_DIGEST_HEADER=true",
	"OCI_API_MANIFESTS_TAG_PARAM=true",
}

// TestConformance runs the conformance suite of the OCI distribution specification: no check fails, and none
// is skipped.
func TestConformance(t *testing.T) {
	each(t, []*backend{onDisk, onS3}, func(t *testing.T, b *backend) {
		r := startRegistry(t, b, b.storage(directory(t), b.address))
		conform(t, conformance.Options{Address: r.address}, 986)
	})
}

// TestSHA512 takes blobs under sha512, which this server stores by itself, through their life, also on Swift,
// where the suite takes minutes.
func TestSHA512(t *testing.T) {
	each(t, remote, func(t *testing.T, b *backend) {
		c := startRegistry(t, b, b.storage(directory(t), b.address)).client()
		for i, size := range []int64{0, 1, 6*mebibyte + 1} {
			layer := newBlob(t, byte(i), size)
			sum := sha512.New()
			_, err := io.Copy(sum, layer.content(0, size))
			must(t, err)
			layer.digest = "sha512:" + hex.EncodeToString(sum.Sum(nil))
			must(t, c.pushChunks("app", layer, 4*mebibyte))
			if size > 0 {
				must(t, c.pullRange("app", layer, 0, size))
			}
			must(t, c.delete("app", "/blobs/"+layer.digest))
			must(t, c.gone("app", "/blobs/"+layer.digest))
		}
	})
}

// TestConformanceWithPassword runs the suite against a registry that asks for a password. A mount without a
// source is not for it: it would show content that a user may not pull.
func TestConformanceWithPassword(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles programs")
	}
	const password = "secret-of-conformance"
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	must(t, err)
	onDisk.prepare(t)
	r := newRegistry(t, onDisk, onDisk.storage(directory(t), ""))
	r.secrets = append(r.secrets, password)
	r.write("htpasswd", []byte("ann:"+string(hash)+"\n"))
	r.configure(section{"auth": section{"htpasswd": section{"realm": "test", "path": r.path("htpasswd")}}})
	r.start()
	conform(t, conformance.Options{Address: r.address, Username: "ann", Password: password}, 980,
		"OCI Conformance Test/sha256 blobs/mount anonymous/blob-mount-anonymous",
		"OCI Conformance Test/sha512 blobs/mount anonymous/blob-mount-anonymous")
}

// conform wants every check to pass but those that may be skipped, and as many checks as there are, so that
// none is lost unnoticed.
func conform(t *testing.T, options conformance.Options, least int, skipped ...string) {
	t.Helper()
	options.Dir, options.Settings = t.TempDir(), optional
	results, err := conformance.Run(t.Context(), options)
	must(t, err)
	for _, check := range results.Cases {
		allowed := check.Status == "skipped" && slices.Contains(skipped, check.Name)
		if check.Status != "passed" && !allowed {
			t.Errorf("%s %s: %s", check.Status, check.Name, check.Reason)
		}
	}
	if results.Checks < least || results.Failed > 0 || results.Errors > 0 {
		t.Errorf("%d checks of at least %d, %d failed, %d errors", results.Checks, least, results.Failed, results.Errors)
	}
	t.Logf("%d checks, %d failed, %d skipped", results.Checks, results.Failed, results.Skipped)
}
