package registryd_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestManifestTooLarge(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	a := api{t: t, base: u.url("")}
	large := bytes.Repeat([]byte(" "), 4<<20+1)
	for _, reference := range []string{"latest", digest.FromBytes(large).String() + "?tag=1", digest.SHA512.FromBytes(large).String()} {
		a.want(413, a.push("app", reference, large))
	}
}

// TestManifestOfAnotherVersion refuses what distribution stores but cannot read.
func TestManifestOfAnotherVersion(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	a := api{t: t, base: u.url("")}
	for _, version := range []string{"", `"schemaVersion":1,`, `"schemaVersion":3,`, `"schemaVersion":"2",`, `"schemaVersion":null,`} {
		other := []byte(`{` + version + `"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
		for _, reference := range []string{"latest", digest.FromBytes(other).String() + "?tag=1", digest.SHA512.FromBytes(other).String()} {
			if got := a.want(400, a.push("app", reference, other)); !strings.Contains(got.body, "schemaVersion must be 2") {
				t.Errorf("%s: %s", other, got.body)
			}
		}
	}
}

// TestUnknownDigest refuses what names something that cannot be looked for.
func TestUnknownDigest(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	a := api{t: t, base: u.url("")}
	for mediaType, field := range map[string]string{
		"application/vnd.oci.image.index.v1+json": "manifests", "application/vnd.docker.distribution.manifest.list.v2+json": "manifests",
		"application/vnd.oci.image.manifest.v1+json": "layers", "application/vnd.docker.distribution.manifest.v2+json": "layers",
	} {
		for _, member := range []string{"md5:00000000000000000000000000000000", "sha256:0", ""} {
			list := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,%q:[{"mediaType":"a/b","size":1,"digest":%q}]}`, mediaType, field, member)
			got := a.want(400, a.do("PUT", "/v2/app/manifests/1", []byte(list), "Content-Type", mediaType))
			if !strings.Contains(got.body, "MANIFEST_INVALID") {
				t.Errorf("%s: %s", list, got.body)
			}
		}
	}
}

func TestNonDistributableLayer(t *testing.T) {
	push := func(more string) reply {
		u := start(t, filesystem("127.0.0.1:0", more))
		a := api{t: t, base: u.url("")}
		a.want(201, a.upload("app", []byte("{}"), digest.FromString("{}")))
		image := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"a/b","size":2,"digest":"` +
			digest.FromString("{}").String() + `"},"layers":[{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar","size":2,"digest":"` +
			digest.FromString("elsewhere").String() + `","urls":["https://example.com/layer"]}]}`
		return a.do("PUT", "/v2/app/manifests/1", []byte(image), "Content-Type", v1.MediaTypeImageManifest)
	}
	if got := push(""); got.status != 201 || !strings.HasPrefix(got.header.Get("Warning"), "299 - ") {
		t.Errorf("%v", got)
	}
	if got := push(`validation: {manifests: {urls: {deny: ["example"]}}}`); got.status < 400 {
		t.Errorf("a URL that is denied: %v", got)
	}
}
