package registryd

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/distribution/distribution/v3/manifest/manifestlist"
	"github.com/distribution/distribution/v3/manifest/schema2"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"docker-registry-operator/internal/registryd/serve"
)

// pulled is a registry with images in it, whose answers and whose application's answers can be had apart.
type pulled struct {
	t     *testing.T
	dir   string
	g     *generation
	asked atomic.Int64 // requests that were left to the application
	ours  *httptest.Server
	stock *httptest.Server
}

const pulledConfig = `version: 0.1
log: {level: error}
http: {headers: {X-Content-Type-Options: [nosniff]}%s}
storage: {filesystem: {rootdirectory: %s/data}, delete: {enabled: true}%s}
%s`

// sections are what a test adds to the configuration.
type sections struct{ http, storage, more string }

func newPulled(t *testing.T, add sections) *pulled {
	t.Helper()
	p := &pulled{t: t, dir: t.TempDir()}
	path := filepath.Join(p.dir, "config.yml")
	if err := os.WriteFile(path, fmt.Appendf(nil, pulledConfig, add.http, p.dir, add.storage, add.more), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(Options{Config: path, Log: io.Discard})
	var err error
	if p.g, err = s.build(path, 1, nil); err != nil {
		t.Fatal(err)
	}
	app := begunOnce(p.g.app) // which answers twice that a name is too long
	next := func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		app.ServeHTTP(w, r)
	}
	p.ours = httptest.NewServer(p.g.pulls(serve.NewManifests(), http.HandlerFunc(next)))
	p.stock = httptest.NewServer(app)
	t.Cleanup(func() {
		p.ours.Close()
		p.stock.Close()
		if err := p.g.close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// put sends content to the application.
func (p *pulled) put(path, mediaType string, content []byte) {
	p.t.Helper()
	request, err := http.NewRequest(http.MethodPut, p.stock.URL+path, bytes.NewReader(content))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Content-Type", mediaType)
	p.do(request, http.StatusCreated)
}

func (p *pulled) do(request *http.Request, want int) *http.Response {
	p.t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		p.t.Fatalf("%s %s: %s, %v: %s", request.Method, request.URL, response.Status, err, text)
	}
	return response
}

func (p *pulled) blob(repository string, content []byte) string {
	p.t.Helper()
	request, err := http.NewRequest(http.MethodPost, p.stock.URL+"/v2/"+repository+"/blobs/uploads/", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	at := p.do(request, http.StatusAccepted).Header.Get("Location")
	digest := digestOf(content)
	p.put(strings.TrimPrefix(at, p.stock.URL)+"&digest="+digest, "application/octet-stream", content)
	return digest
}

func (p *pulled) manifest(repository, tag, mediaType string, fields map[string]any) string {
	p.t.Helper()
	fields = maps.Clone(fields)
	fields["schemaVersion"] = 2
	content, err := json.Marshal(fields)
	if err != nil {
		p.t.Fatal(err)
	}
	p.put("/v2/"+repository+"/manifests/"+tag, mediaType, content)
	return digestOf(content)
}

func digestOf(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

func (p *pulled) path(name string) string {
	return filepath.Join(p.dir, "data/docker/registry/v2", filepath.FromSlash(name))
}

// reply is what a client gets of an answer.
type reply struct {
	Status string
	Header http.Header
	Length int64
	Body   string
	Cut    bool // before its length
}

func ask(t *testing.T, base, method, path string, header http.Header) reply {
	t.Helper()
	request, err := http.NewRequest(method, base, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.URL.Opaque = path // goes out as it stands
	maps.Copy(request.Header, header)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	response.Header.Del("Date")
	text := string(body)
	if kind, boundary, ok := strings.Cut(response.Header.Get("Content-Type"), "; boundary="); ok {
		text = strings.ReplaceAll(text, boundary, "BOUNDARY")
		response.Header.Set("Content-Type", kind)
	}
	return reply{response.Status, response.Header, response.ContentLength, text, err != nil}
}

// asked is a row of a table: a request, and whether it is answered without the application.
type asked struct {
	name, path string
	header     http.Header
	ours       bool
}

// compare asks both and wants the same answers.
func (p *pulled) compare(rows []asked) {
	p.t.Helper()
	for _, row := range rows {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			p.t.Run(method+" "+row.name, func(t *testing.T) {
				for range 2 { // the second may come from memory
					want := ask(t, p.stock.URL, method, row.path, row.header)
					before := p.asked.Load()
					got := ask(t, p.ours.URL, method, row.path, row.header)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("answer (-stock +ours):\n%s", diff)
					}
					if answered := p.asked.Load() == before; answered != row.ours {
						t.Errorf("answered without the application: %t, want %t", answered, row.ours)
					}
				}
			})
		}
	}
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

const absentDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// TestBlobsAsStock compares the answers to pulls of blobs.
func TestBlobsAsStock(t *testing.T) {
	p := newPulled(t, sections{})
	small, large := p.blob("team/app", []byte("hello")), p.blob("team/app", bytes.Repeat([]byte("0123456789"), 20000))
	nothing := p.blob("team/app", nil)
	at := func(digest string) string { return "/v2/team/app/blobs/" + digest }
	etag := `"` + small + `"`
	p.compare([]asked{
		{"small", at(small), nil, true},
		{"large", at(large), nil, true},
		{"empty", at(nothing), nil, true},
		{"absent", at(absentDigest), nil, true},
		{"other repository", "/v2/team/other/blobs/" + small, nil, true},
		{"query", at(small) + "?ns=docker.io", nil, true},
		{"query with rights", at(small) + "?ns=docker.io&from=team/other", nil, false},
		{"query with hidden rights", at(small) + "?fr%6fm=team/other", nil, false},
		{"escaped", "/v2/team%2Fapp/blobs/" + small, nil, true},
		{"same etag", at(small), header("If-None-Match", etag), true},
		{"weak etag", at(small), header("If-None-Match", "W/"+etag), true},
		{"bare etag", at(small), header("If-None-Match", small), true},
		{"any etag", at(small), header("If-None-Match", "*"), true},
		{"other etag", at(small), header("If-None-Match", `"x"`), true},
		{"range", at(large), header("Range", "bytes=10-19"), true},
		{"open range", at(large), header("Range", "bytes=199990-"), true},
		{"last bytes", at(large), header("Range", "bytes=-5"), true},
		{"long range", at(large), header("Range", "bytes=0-150000"), true},
		{"range beyond the end", at(large), header("Range", "bytes=5-999999"), true},
		{"ranges", at(large), header("Range", "bytes=0-1,5-6,-3"), true},
		{"range after the end", at(large), header("Range", "bytes=200000-"), true},
		{"bad range", at(large), header("Range", "bytes=a-b"), true},
		{"other unit", at(large), header("Range", "lines=1-2"), true},
		{"range if same", at(large), header("Range", "bytes=1-2", "If-Range", `"`+large+`"`), true},
		{"range if other", at(small), header("Range", "bytes=1-2", "If-Range", `"x"`), true},
		{"short digest", at("sha256:0123"), nil, false},
		{"capital digest", at(strings.ToUpper(absentDigest[7:])), nil, false},
		{"other algorithm", at("sha512:" + strings.Repeat("0123456789abcdef", 8)), nil, false},
		{"unknown algorithm", at("sha1:" + absentDigest[7:]), nil, false},
		{"domain", "/v2/Example.com:80/app/blobs/" + small, nil, false},
	})
}

// TestManifestsAsStock compares the answers to pulls of manifests.
func TestManifestsAsStock(t *testing.T) {
	p := newPulled(t, sections{})
	config := map[string]any{"mediaType": v1.MediaTypeImageConfig, "digest": p.blob("app", []byte("{}")), "size": 2}
	layers := map[string]any{"config": config, "layers": []any{}}
	with := func(fields map[string]any, mediaType string) map[string]any {
		fields = maps.Clone(fields)
		fields["mediaType"] = mediaType
		return fields
	}
	oci := p.manifest("app", "oci", v1.MediaTypeImageManifest, with(layers, v1.MediaTypeImageManifest))
	p.manifest("app", "bare", v1.MediaTypeImageManifest, layers)
	docker := p.manifest("app", "docker", schema2.MediaTypeManifest, with(layers, schema2.MediaTypeManifest))
	of := func(digest, mediaType string) map[string]any {
		platform := map[string]any{"architecture": "amd64", "os": "linux"}
		return map[string]any{"manifests": []any{map[string]any{"mediaType": mediaType, "digest": digest, "size": 1, "platform": platform}}}
	}
	list := p.manifest("app", "list", manifestlist.MediaTypeManifestList,
		with(of(docker, schema2.MediaTypeManifest), manifestlist.MediaTypeManifestList))
	index := p.manifest("app", "index", v1.MediaTypeImageIndex, with(of(oci, v1.MediaTypeImageManifest), v1.MediaTypeImageIndex))
	p.manifest("app", "bareindex", v1.MediaTypeImageIndex, of(oci, v1.MediaTypeImageManifest))
	at := func(reference string) string { return "/v2/app/manifests/" + reference }
	all := header("Accept", strings.Join([]string{
		schema2.MediaTypeManifest, manifestlist.MediaTypeManifestList, v1.MediaTypeImageManifest, v1.MediaTypeImageIndex, "*/*"}, ", "))
	rows := []asked{
		{"absent tag", at("none"), all, false},
		{"absent digest", at(absentDigest), all, true},
		{"other repository", "/v2/none/manifests/" + oci, all, true},
		{"blob", at(config["digest"].(string)), all, true},
		{"sha512", at("sha512:" + strings.Repeat("0123456789abcdef", 8)), all, false},
		{"accepts with parameters", at("oci"), header("Accept", "text/html;q=0.1, "+strings.ToUpper(v1.MediaTypeImageManifest)+" ; q=0.5"), true},
		{"accepts badly", at("oci"), header("Accept", v1.MediaTypeImageManifest+"; q"), false},
		{"accepts in two headers", at("oci"), header("Accept", "text/html", "Accept", v1.MediaTypeImageManifest), true},
		{"same etag", at("oci"), header("If-None-Match", `"`+oci+`"`), true},
		{"bare etag", at("oci"), header("If-None-Match", oci), true},
		{"same etag by digest", at(oci), header("If-None-Match", oci), true},
		{"one of many etags", at("oci"), header("If-None-Match", `"x", "`+oci+`"`, "Accept", v1.MediaTypeImageManifest), true},
		{"range", at("docker"), header("Range", "bytes=0-3"), true},
	}
	for _, reference := range []string{"oci", "bare", "docker", "list", "index", "bareindex", oci, docker, list, index} {
		needs := reference == "oci" || reference == "bare" || reference == "list" || reference == oci
		rows = append(rows, asked{reference, at(reference), all, true}, asked{reference + " accepts nothing", at(reference), nil, !needs},
			asked{reference + " accepts all", at(reference), header("Accept", "*/*"), !needs},
			asked{reference + " accepts docker", at(reference), header("Accept", schema2.MediaTypeManifest), !needs})
	}
	p.compare(rows)
}
