package registryd_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	"github.com/distribution/reference"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/crypto/bcrypt"
)

// api is a client that knows no more than the specification.
type api struct {
	t    *testing.T
	base string
	auth string // user:password
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request to a path, or to what Location said.
func (a api) do(method, path string, body []byte, header ...string) reply {
	a.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = a.base + path
	}
	request, err := http.NewRequestWithContext(a.t.Context(), method, path, bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	if user, password, ok := strings.Cut(a.auth, ":"); ok {
		request.SetBasicAuth(user, password)
	}
	client := newClient()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}

func (a api) want(status int, got reply) reply {
	a.t.Helper()
	if got.status != status {
		a.t.Fatalf("status %d, want %d: %s", got.status, status, got.body)
	}
	return got
}

func (a api) push(name, reference string, manifest []byte) reply {
	a.t.Helper()
	return a.do("PUT", "/v2/"+name+"/manifests/"+reference, manifest, "Content-Type", v1.MediaTypeImageIndex)
}

// upload pushes a blob in two requests and returns the answer to the second.
func (a api) upload(name string, content []byte, as digest.Digest) reply {
	a.t.Helper()
	begun := a.want(202, a.do("POST", "/v2/"+name+"/blobs/uploads/", nil))
	return a.do("PUT", begun.header.Get("Location")+"&digest="+as.String(), content)
}

// index is a manifest that needs nothing else to be there.
func index(t *testing.T, subject digest.Digest, artifactType string, manifests ...v1.Descriptor) []byte {
	t.Helper()
	content := v1.Index{MediaType: v1.MediaTypeImageIndex, ArtifactType: artifactType, Manifests: slices.Concat([]v1.Descriptor{}, manifests)}
	content.SchemaVersion = 2
	if subject != "" {
		content.Subject = &v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: subject, Size: 2}
	}
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// types are the types that a list of referrers has, over all its pages.
func (a api) types(path string) (types []string, pages int) {
	a.t.Helper()
	for path != "" {
		got := a.want(200, a.do("GET", path, nil))
		if contentType := got.header.Get("Content-Type"); contentType != v1.MediaTypeImageIndex {
			a.t.Errorf("content type %q", contentType)
		}
		var list v1.Index
		if err := json.Unmarshal([]byte(got.body), &list); err != nil {
			a.t.Fatal(err)
		}
		for _, referrer := range list.Manifests {
			types = append(types, referrer.ArtifactType)
		}
		path, _, _ = strings.Cut(strings.TrimPrefix(got.header.Get("Link"), "<"), ">")
		pages++
	}
	slices.Sort(types)
	return types, pages
}

func TestReferrers(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	a := api{t: t, base: u.url("")}
	subject := digest.FromString("subject")
	var pushed []digest.Digest
	for _, kind := range []string{"a/sbom", "a/signature", "b/sbom"} {
		manifest := index(t, subject, kind)
		got := a.want(201, a.push("app", digest.FromBytes(manifest).String(), manifest))
		if got.header.Get("OCI-Subject") != subject.String() {
			t.Errorf("OCI-Subject is %q", got.header.Get("OCI-Subject"))
		}
		pushed = append(pushed, digest.FromBytes(manifest))
	}
	path := "/v2/app/referrers/" + subject.String()
	for _, test := range []struct {
		query string
		want  []string
		pages int
	}{
		{"", []string{"a/sbom", "a/signature", "b/sbom"}, 1},
		{"?n=1", []string{"a/sbom", "a/signature", "b/sbom"}, 3},
		{"?n=2", []string{"a/sbom", "a/signature", "b/sbom"}, 2},
		{"?artifactType=a/sbom&n=1", []string{"a/sbom"}, 1},
		{"?artifactType=none", nil, 1},
	} {
		got, pages := a.types(path + test.query)
		if !slices.Equal(got, test.want) || pages != test.pages {
			t.Errorf("%s: %v on %d pages, want %v on %d", test.query, got, pages, test.want, test.pages)
		}
	}
	if head := a.want(200, a.do("HEAD", path, nil)); head.body != "" || head.header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %v", head)
	}
	a.want(202, a.do("DELETE", "/v2/app/manifests/"+pushed[0].String(), nil))
	if got, _ := a.types(path); !slices.Equal(got, []string{"a/signature", "b/sbom"}) {
		t.Errorf("after a deletion: %v", got)
	}
}

func TestReferrersRefused(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	a := api{t: t, base: u.url("")}
	good := digest.FromString("x").String()
	for _, test := range []struct {
		method, path string
		status       int
		want         string // in the body
	}{
		{"GET", "/v2/app/referrers/latest", 400, "DIGEST_INVALID"},
		{"GET", "/v2/app/referrers/sha256:12", 400, "DIGEST_INVALID"},
		{"GET", "/v2/app/referrers/" + good + "?n=0", 400, "PAGINATION_NUMBER_INVALID"},
		{"GET", "/v2/app/referrers/" + good + "?n=x", 400, "PAGINATION_NUMBER_INVALID"},
		{"PUT", "/v2/app/referrers/" + good, 405, ""},
		{"GET", "/v2/UPPER/referrers/" + good, 404, ""},
		{"GET", "/v2/not/there/referrers/" + good, 200, `"manifests":[]`},
	} {
		got := a.do(test.method, test.path, nil)
		if got.status != test.status || !strings.Contains(got.body, test.want) {
			t.Errorf("%s %s: %d %s", test.method, test.path, got.status, got.body)
		}
	}
}

// passwords is the configuration of a registry that ann may use, with the password s3cret.
func passwords(u *unit) string {
	u.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("s3cret"), bcrypt.MinCost)
	if err != nil {
		u.t.Fatal(err)
	}
	writeFile(u.t, u.path("htpasswd"), []byte("ann:"+string(hash)+"\n"))
	return filesystem("127.0.0.1:0", "auth: {htpasswd: {realm: test, path: DIR/htpasswd}}")
}

// TestAccess asks without a password for what the server answers itself.
func TestAccess(t *testing.T) {
	u := prepare(t, t.TempDir())
	u.configure(passwords(u))
	u.start()
	nobody, ann := api{t: t, base: u.url("")}, api{t: t, base: u.url(""), auth: "ann:s3cret"}
	content := []byte("content")
	as := digest.SHA512.FromBytes(content)
	ann.want(201, ann.upload("app", content, as))
	manifest := index(t, digest.FromString("subject"), "a/sbom")
	begun := ann.want(202, ann.do("POST", "/v2/app/blobs/uploads/", nil)).header.Get("Location")
	for _, test := range []struct{ method, path string }{
		{"GET", "/v2/app/referrers/" + as.String()},
		{"GET", "/v2/app/referrers/bad"},
		{"PUT", "/v2/app/manifests/" + digest.SHA512.FromBytes(manifest).String()},
		{"PUT", "/v2/app/manifests/" + digest.FromBytes(manifest).String() + "?tag=1"},
		{"PUT", "/v2/app/manifests/" + digest.FromBytes(manifest).String() + "?tag=$"},
		{"POST", "/v2/other/blobs/uploads/?from=app&mount=" + as.String()},
		{"POST", "/v2/app/blobs/uploads/?digest=" + as.String()},
		{"PUT", begun + "&digest=" + as.String()},
	} {
		got := nobody.do(test.method, test.path, manifest)
		if got.status != 401 || got.header.Get("WWW-Authenticate") == "" || strings.Contains(got.body, "manifests\":") {
			t.Errorf("%s %s: %d %v %s", test.method, test.path, got.status, got.header, got.body)
		}
	}
	if got := ann.want(200, ann.do("GET", "/v2/app/referrers/"+as.String(), nil)); got.header.Get("Docker-Distribution-API-Version") != "registry/2.0" {
		t.Errorf("headers are %v", got.header)
	}
	// A mount from anywhere would show what ann may not pull.
	ann.want(202, ann.do("POST", "/v2/other/blobs/uploads/?mount="+as.String(), nil))
}

// TestOtherDigests pushes what is addressed by sha512, and reads it with distribution alone after its
// garbage collection.
func TestOtherDigests(t *testing.T) {
	hook := newEventServer(t)
	u := start(t, filesystem("127.0.0.1:0", "notifications: {endpoints: [{name: hook, url: \""+hook.URL+"\", ignore: {actions: [pull]}}]}"))
	a := api{t: t, base: u.url("")}
	content := []byte("content")
	blob := digest.SHA512.FromBytes(content)
	if got := a.want(201, a.upload("team/app", content, blob)); got.header.Get("Docker-Content-Digest") != blob.String() {
		t.Errorf("headers are %v", got.header)
	}
	a.want(400, a.upload("team/app", []byte("other"), blob))
	a.want(201, a.do("POST", "/v2/team/app/blobs/uploads/?digest="+digest.SHA512.FromString("one request").String(), []byte("one request")))
	a.want(201, a.do("POST", "/v2/team/mounted/blobs/uploads/?from=team/app&mount="+blob.String(), nil))
	a.want(202, a.do("POST", "/v2/team/mounted/blobs/uploads/?from=team/other&mount="+blob.String(), nil))

	image, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": v1.MediaTypeImageManifest, "layers": []v1.Descriptor{},
		"config": v1.Descriptor{MediaType: "a/config", Digest: blob, Size: int64(len(content))},
	})
	if err != nil {
		t.Fatal(err)
	}
	revision := digest.SHA512.FromBytes(image)
	put := func(reference string, body []byte) reply {
		return a.do("PUT", "/v2/team/app/manifests/"+reference, body, "Content-Type", v1.MediaTypeImageManifest)
	}
	a.want(400, put(revision.String(), append(image, ' ')))
	missing := bytes.ReplaceAll(image, []byte(blob), []byte(digest.SHA512.FromString("missing")))
	if got := a.want(400, put(digest.SHA512.FromBytes(missing).String(), missing)); !strings.Contains(got.body, "MANIFEST_BLOB_UNKNOWN") {
		t.Errorf("a layer is missing: %s", got.body)
	}
	if got := a.want(201, put(revision.String()+"?tag=1&tag=2", image)); !slices.Equal(got.header.Values("OCI-Tag"), []string{"1", "2"}) {
		t.Errorf("headers are %v", got.header)
	}
	for _, want := range []string{"push team/app:1", "push team/app:2"} {
		if got := <-hook.pushed; got != want {
			t.Errorf("event %q, want %q", got, want)
		}
	}
	got := a.want(200, a.do("GET", "/v2/team/app/manifests/2", nil, "Accept", v1.MediaTypeImageManifest))
	if got.body != string(image) || got.header.Get("Docker-Content-Digest") != revision.String() {
		t.Errorf("pulled by tag: %v", got)
	}
	u.end()
	readByStock(t, u.path("data"), revision, blob)
}

// filesIn is the driver of a directory, once a server has made it known to distribution.
func filesIn(t *testing.T, root string) storagedriver.StorageDriver {
	t.Helper()
	files, err := factory.Create(t.Context(), "filesystem", map[string]any{"rootdirectory": root})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// readByStock collects garbage and wants what is left to be whole.
func readByStock(t *testing.T, root string, revision, blob digest.Digest) {
	t.Helper()
	files := filesIn(t, root)
	registry, err := storage.NewRegistry(t.Context(), files, storage.EnableDelete)
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.MarkAndSweep(t.Context(), files, registry, storage.GCOpts{Quiet: true}); err != nil {
		t.Fatal(err)
	}
	name, _ := reference.WithName("team/app")
	app, err := registry.Repository(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := app.Manifests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"1", "2"} {
		if tagged, err := app.Tags(t.Context()).Get(t.Context(), tag); err != nil || tagged.Digest != revision {
			t.Errorf("tag %s: %v %v", tag, tagged, err)
		}
	}
	if _, err := manifests.Get(t.Context(), revision); err != nil {
		t.Error(err)
	}
	if content, err := app.Blobs(t.Context()).Get(t.Context(), blob); err != nil || string(content) != "content" {
		t.Errorf("blob: %q %v", content, err)
	}
	if _, err := app.Blobs(t.Context()).Stat(t.Context(), digest.SHA512.FromString("one request")); err != distribution.ErrBlobUnknown {
		t.Errorf("garbage: %v", err)
	}
}

// TestOldSHA512 reads and mounts a blob that a stock registry has stored: under sha256, with a link.
func TestOldSHA512(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	content := []byte("content")
	blob := digest.SHA512.FromBytes(content)
	files := filesIn(t, u.path("data"))
	registry, err := storage.NewRegistry(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	name, _ := reference.WithName("old")
	old, err := registry.Repository(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	upload, err := old.Blobs(t.Context()).Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := upload.Write(content); err != nil {
		t.Fatal(err)
	}
	if _, err := upload.Commit(t.Context(), v1.Descriptor{Digest: blob}); err != nil {
		t.Fatal(err)
	}
	a := api{t: t, base: u.url("")}
	a.want(201, a.do("POST", "/v2/new/blobs/uploads/?from=old&mount="+blob.String(), nil))
	for _, repository := range []string{"old", "new"} {
		got := a.want(200, a.do("GET", "/v2/"+repository+"/blobs/"+blob.String(), nil))
		if got.body != string(content) || got.header.Get("Docker-Content-Digest") != blob.String() {
			t.Errorf("%s: %v", repository, got)
		}
	}
}

// TestFallbackTag lets an old client, which knows no list of referrers, find those of a new one.
func TestFallbackTag(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	a := api{t: t, base: u.url("")}
	subject := digest.FromString("subject")
	tag := "sha256-" + subject.Encoded()
	first := index(t, subject, "a/first")
	a.want(201, a.push("app", digest.FromBytes(first).String(), first))
	a.want(201, a.push("app", tag, index(t, "", "", v1.Descriptor{MediaType: v1.MediaTypeImageIndex, Digest: digest.FromBytes(first), Size: int64(len(first))})))
	second := index(t, subject, "a/second")
	listed := func() (digests []digest.Digest) {
		got := a.want(200, a.do("GET", "/v2/app/manifests/"+tag, nil, "Accept", v1.MediaTypeImageIndex))
		var list v1.Index
		if err := json.Unmarshal([]byte(got.body), &list); err != nil {
			t.Fatal(err)
		}
		for _, referrer := range list.Manifests {
			digests = append(digests, referrer.Digest)
		}
		return digests
	}
	a.want(201, a.push("app", "tagged", second))
	if diff := cmp.Diff([]digest.Digest{digest.FromBytes(first), digest.FromBytes(second)}, listed()); diff != "" {
		t.Errorf("after a push (-want +got):\n%s", diff)
	}
	a.want(202, a.do("DELETE", "/v2/app/manifests/"+digest.FromBytes(first).String(), nil))
	if diff := cmp.Diff([]digest.Digest{digest.FromBytes(second)}, listed()); diff != "" {
		t.Errorf("after a deletion (-want +got):\n%s", diff)
	}
}

func TestTagParameters(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	a := api{t: t, base: u.url("")}
	manifest := index(t, digest.FromString("subject"), "a/sbom")
	path := digest.FromBytes(manifest).String()
	if got := a.want(201, a.push("app", path+"?tag=1&tag=2", manifest)); !slices.Equal(got.header.Values("OCI-Tag"), []string{"1", "2"}) || got.header.Get("OCI-Subject") == "" {
		t.Errorf("headers are %v", got.header)
	}
	if got := a.do("GET", "/v2/app/tags/list", nil); got.body != `{"name":"app","tags":["1","2"]}`+"\n" {
		t.Errorf("tags: %s", got.body)
	}
	if got := a.want(400, a.push("app", path+"?tag=3&tag=.x", manifest)); !strings.Contains(got.body, "TAG_INVALID") {
		t.Errorf("bad tag: %s", got.body)
	}
	a.want(414, a.push("app", path+"?"+strings.Repeat("tag=x&", 101), manifest))
	a.want(404, a.do("GET", "/v2/app/manifests/3", nil))
}

// TestMountFromAnywhere needs no source where everybody may pull everything.
func TestMountFromAnywhere(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	a := api{t: t, base: u.url("")}
	blob := digest.FromString("content")
	a.want(202, a.do("POST", "/v2/other/blobs/uploads/?mount="+blob.String(), nil))
	a.want(201, a.upload("app", []byte("content"), blob))
	got := a.want(201, a.do("POST", "/v2/other/blobs/uploads/?mount="+blob.String(), nil))
	location, err := url.Parse(got.header.Get("Location"))
	if err != nil || location.Path != "/v2/other/blobs/"+blob.String() {
		t.Errorf("location %v, error %v", location, err)
	}
	if got := a.want(200, a.do("GET", location.Path, nil)); got.body != "content" {
		t.Errorf("content %q", got.body)
	}
}

// TestReadOnly leaves every push to the application, which refuses it.
func TestReadOnly(t *testing.T) {
	u := start(t, "version: 0.1\nstorage: {inmemory: {}, maintenance: {readonly: {enabled: true}}}\nhttp: {addr: 127.0.0.1:0}\n")
	a := api{t: t, base: u.url("")}
	manifest := index(t, "", "a/sbom")
	as := digest.SHA512.FromBytes(manifest).String()
	a.want(405, a.push("app", as, manifest))
	a.want(405, a.push("app", digest.FromBytes(manifest).String()+"?tag=1", manifest))
	a.want(405, a.do("POST", "/v2/app/blobs/uploads/?digest="+as, manifest))
	a.want(200, a.do("GET", "/v2/app/referrers/"+as, nil))
}

// TestReferrersOfCache asks a pull-through cache, which asks the registry behind it.
func TestReferrersOfCache(t *testing.T) {
	o := newOrigin(t, "")
	behind := api{t: t, base: o.url()}
	subject := digest.FromString("subject")
	manifest := index(t, subject, "a/sbom")
	revision := digest.FromBytes(manifest).String()
	behind.want(201, behind.push("app", revision, manifest))
	behind.want(201, behind.push("app", "2", index(t, subject, "a/signature")))
	u := start(t, o.cache())
	a := api{t: t, base: u.url("")}
	path := "/v2/app/referrers/" + subject.String()
	for query, want := range map[string][]string{"": {"a/sbom", "a/signature"}, "?n=1": {"a/sbom", "a/signature"}, "?artifactType=a/sbom": {"a/sbom"}} {
		if got, _ := a.types(path + query); !slices.Equal(got, want) {
			t.Errorf("%q: %v", query, got)
		}
	}
	a.want(200, a.do("GET", "/v2/app/manifests/"+revision, nil, "Accept", v1.MediaTypeImageIndex))
	o.stop()
	if got, _ := a.types(path); !slices.Equal(got, []string{"a/sbom"}) {
		t.Errorf("what is cached: %v", got)
	}
	if got := a.do("GET", "/v2/app/referrers/"+digest.FromString("other").String(), nil); got.status != 502 {
		t.Errorf("what is not: %v", got)
	}
}
