package registryd

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"docker-registry-operator/internal/registryd/referrer"
)

// session is a client whose requests follow from one another.
type session struct {
	t        *testing.T
	registry *fuzzed
	program  []byte
	text     string
	uploads  []upload
	// acknowledged is what the registry has said that it keeps.
	acknowledged map[kept][]byte
}

// kept is content under an address.
type kept struct{ repository, kind, digest string }

// upload is one that has begun.
type upload struct {
	repository, location string
	// content is what the registry has said that it has; known is false after an error.
	content []byte
	known   bool
}

func newSession(t *testing.T, registry *fuzzed, program []byte, text string) *session {
	return &session{t: t, registry: registry, program: program, text: text, acknowledged: make(map[kept][]byte)}
}

// maxSteps keeps one input from taking the time of many.
const maxSteps = 12

// run takes the steps of the program, and then reads what was acknowledged.
func (s *session) run() {
	for range maxSteps {
		if len(s.program) == 0 {
			break
		}
		pick(s, steps)(s)
	}
	for _, at := range slices.SortedFunc(maps.Keys(s.acknowledged), func(a, b kept) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }) {
		s.expect(at, http.StatusOK)
	}
}

// next is the next choice of the program.
func (s *session) next() byte {
	if len(s.program) == 0 {
		return 0
	}
	choice := s.program[0]
	s.program = s.program[1:]
	return choice
}

func pick[T any](s *session, among []T) T { return among[int(s.next())%len(among)] }

// steps are what a client may do.
var steps = []func(*session){
	(*session).image, (*session).begin, (*session).patch, (*session).finish, (*session).upload,
	(*session).manifest, (*session).read, (*session).list, (*session).remove, (*session).token, (*session).foreign,
}

func (s *session) repository() string {
	return pick(s, []string{"team/app", "public/lib", "other", "team/app/sub", "public/blobs/uploads/x", s.text})
}

func (s *session) content() []byte {
	sample := sampleImage()
	return pick(s, [][]byte{sample.layer, sample.config, nil, []byte("a"), bytes.Repeat([]byte("b"), 40<<10), sample.manifest, []byte(s.text)})
}

// digest is one of content, or none.
func (s *session) digest(content []byte) string {
	return pick(s, []func() string{
		func() string { return digestOf(content) },
		func() string { return digest.SHA512.FromBytes(content).String() },
		func() string { return digest.SHA384.FromBytes(content).String() },
		func() string { return digestOf(append(content, 'x')) },
		func() string { return "sha256:" + strings.Repeat("0", 63) },
		func() string { return "md5:" + strings.Repeat("0", 32) },
		func() string { return s.text },
	})()
}

// reference is a tag or a digest.
func (s *session) reference(content []byte) string {
	return pick(s, []func() string{
		func() string { return "latest" },
		func() string { return s.digest(content) },
		func() string { return "v1" },
		func() string { return referrer.FallbackTag(digest.FromBytes(content)) },
		func() string { return s.text },
	})()
}

// headers say who asks, and in which form.
func (s *session) headers(further ...string) []string {
	who := pick(s, []func() string{
		func() string { return basic("ci") },
		func() string { return basic("ann") },
		func() string { return "" },
		func() string { return "Authorization: Basic Y2k6d3Jvbmc=" },
		func() string {
			for _, token := range slices.Sorted(maps.Keys(s.registry.tokens)) {
				return "Authorization: Bearer " + token
			}
			return "Authorization: Bearer x"
		},
		func() string { return "Authorization: " + s.text },
	})()
	if who != "" {
		further = append(further, who)
	}
	return further
}

func basic(user string) string {
	r := http.Request{Header: make(http.Header)}
	r.SetBasicAuth(user, user)
	return "Authorization: " + r.Header.Get("Authorization")
}

// odd are headers that change what an answer is.
func (s *session) odd() []string {
	name := pick(s, []string{"", "Range", "If-None-Match", "Accept", "Content-Range", "If-Range", "X-Forwarded-Host", "Expect", "Content-Type"})
	if name == "" {
		return nil
	}
	sample := sampleImage()
	value := pick(s, []string{
		"bytes=1-2", "bytes=0-", "bytes=-1", "bytes=9-", "bytes=0-0,2-2", `"` + digestOf(sample.layer) + `"`, digestOf(sample.manifest),
		"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.index.v1+json", "*/*", "0-4", "5-9", "100-continue", s.text,
	})
	return []string{name + ": " + value}
}

// send sends a request and returns the answer, nil if it was none.
func (s *session) send(method, target string, headers []string, body []byte) *strict {
	s.t.Helper()
	if body != nil || method != http.MethodGet && method != http.MethodHead {
		headers = append(headers, fmt.Sprint("Content-Length: ", len(body)))
	}
	answer, err := s.registry.serve(s.t, bufio.NewReader(wire(method, target, headers, body)))
	if err != nil {
		return nil
	}
	return answer
}

// expect reads what was acknowledged, or deleted.
func (s *session) expect(at kept, status int) {
	s.t.Helper()
	headers := []string{basic("ci")}
	for _, accepted := range manifestTypes {
		headers = append(headers, "Accept: "+accepted)
	}
	target := "/v2/" + at.repository + "/" + at.kind + "/" + at.digest
	answer := s.send(http.MethodGet, target, headers, nil)
	switch {
	case answer == nil || answer.Code != status:
		s.t.Errorf("GET %s: got %v, want %d", target, answer, status)
	case status == http.StatusOK && !bytes.Equal(answer.Body.Bytes(), s.acknowledged[at]):
		s.t.Errorf("GET %s: got %q, want %q", target, answer.Body, s.acknowledged[at])
	}
}

// keep notes that content was acknowledged with 201, which has to be by a digest that it has.
func (s *session) keep(repository, kind string, answer *strict, content []byte) {
	s.t.Helper()
	sum := digest.Digest(answer.Header().Get("Docker-Content-Digest"))
	if sum.Validate() != nil || sum.Algorithm().FromBytes(content) != sum {
		s.t.Errorf("%q was acknowledged as %q", content, sum)
		return
	}
	at := kept{repository, kind, sum.String()}
	s.acknowledged[at] = content
	if got, want := s.location(answer), "/v2/"+repository+"/"+kind+"/"+at.digest; got != want {
		s.t.Errorf("%q was acknowledged at %q, not at %s", content, got, want)
	}
	s.expect(at, http.StatusOK)
}

// location is where an answer leads to, below the host, which may be what the client says.
func (s *session) location(answer *strict) string {
	s.t.Helper()
	_, path, ok := strings.Cut(answer.Header().Get("Location"), "/v2/")
	if !ok {
		s.t.Errorf("answer leads to %q", answer.Header().Get("Location"))
	}
	return "/v2/" + path
}

// image pushes an image as clients do.
func (s *session) image() {
	s.pushImage(pick(s, []string{"team/app", "public/lib", "other", "team/app/sub"}), pick(s, []string{"v1", "latest"}), sampleImage())
}

func (s *session) pushImage(repository, tag string, i image) {
	s.t.Helper()
	for _, blob := range [][]byte{i.config, i.layer} {
		begun := s.send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", []string{basic("ci")}, nil)
		if begun.Code != http.StatusAccepted {
			s.t.Errorf("upload: %d %s", begun.Code, begun.Body)
			return
		}
		ended := s.send(http.MethodPut, s.location(begun)+"&digest="+digestOf(blob), []string{basic("ci")}, blob)
		if ended.Code != http.StatusCreated {
			s.t.Errorf("push of a blob: %d %s", ended.Code, ended.Body)
			return
		}
		s.keep(repository, "blobs", ended, blob)
	}
	pushed := s.send(http.MethodPut, "/v2/"+repository+"/manifests/"+tag, []string{basic("ci"), "Content-Type: " + manifestTypes[0]}, i.manifest)
	if pushed.Code != http.StatusCreated {
		s.t.Errorf("push of a manifest: %d %s", pushed.Code, pushed.Body)
		return
	}
	s.keep(repository, "manifests", pushed, i.manifest)
}

// begin starts an upload, pushes a blob in one request, or mounts one.
func (s *session) begin() {
	repository, content := s.repository(), s.content()
	query := make(url.Values)
	var body []byte
	switch s.next() % 4 {
	case 1:
		query.Set("mount", s.digest(content))
		query.Set("from", s.repository())
	case 2:
		query.Set("digest", s.digest(content))
		body = content
	case 3:
		query.Set("mount", s.digest(content))
	}
	answer := s.send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/?"+query.Encode(), s.headers(s.odd()...), body)
	switch {
	case answer == nil:
	case answer.Code == http.StatusCreated:
		s.keep(repository, "blobs", answer, content)
	case answer.Code == http.StatusAccepted:
		s.uploads = append(s.uploads, upload{repository: repository, location: s.location(answer), known: true})
	}
}

// pending is one of the uploads, nil if there is none.
func (s *session) pending() *upload {
	if len(s.uploads) == 0 {
		s.begin()
	}
	if len(s.uploads) == 0 {
		return nil
	}
	return &s.uploads[int(s.next())%len(s.uploads)]
}

func (s *session) patch() {
	u := s.pending()
	if u == nil {
		return
	}
	content := s.content()
	headers := []string{"Content-Type: application/octet-stream"}
	if s.next()%2 == 1 {
		headers = append(headers, fmt.Sprintf("Content-Range: %d-%d", len(u.content), len(u.content)+len(content)-1))
	}
	answer := s.send(http.MethodPatch, u.location, s.headers(append(headers, s.odd()...)...), content)
	if answer == nil || answer.Code != http.StatusAccepted {
		u.known = false
		return
	}
	u.location = s.location(answer)
	u.content = append(u.content, content...)
	s.checkRange(u, answer)
}

// checkRange compares what the registry says that it has of an upload.
func (s *session) checkRange(u *upload, answer *strict) {
	s.t.Helper()
	want := fmt.Sprintf("0-%d", max(len(u.content)-1, 0))
	if got := answer.Header().Get("Range"); u.known && got != want {
		s.t.Errorf("upload of %d bytes has range %q", len(u.content), got)
	}
}

func (s *session) finish() {
	u := s.pending()
	if u == nil {
		return
	}
	var rest []byte
	if s.next()%2 == 1 {
		rest = s.content()
	}
	content := append(slices.Clone(u.content), rest...)
	answer := s.send(http.MethodPut, u.location+"&digest="+url.QueryEscape(s.digest(content)), s.headers(s.odd()...), rest)
	if answer == nil {
		return
	}
	u.known = false
	if answer.Code == http.StatusCreated {
		s.keep(u.repository, "blobs", answer, content)
	}
}

// upload asks how far an upload is, or ends it.
func (s *session) upload() {
	u := s.pending()
	if u == nil {
		return
	}
	method := pick(s, []string{http.MethodGet, http.MethodHead, http.MethodDelete})
	answer := s.send(method, u.location, s.headers(s.odd()...), nil)
	if answer == nil {
		return
	}
	if method == http.MethodDelete {
		u.known = false
	}
	if answer.Code == http.StatusNoContent && method == http.MethodGet {
		s.checkRange(u, answer)
	}
}
