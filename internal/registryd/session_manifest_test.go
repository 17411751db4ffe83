package registryd

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// manifestTypes are what clients call manifests.
var manifestTypes = []string{
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.docker.distribution.manifest.v1+prettyjws",
	"application/vnd.oci.artifact.manifest.v1+json",
}

// descriptor is one of content, which is right unless the program wants another.
func (s *session) descriptor(mediaType string, content []byte) string {
	size := len(content)
	switch s.next() % 8 {
	case 1:
		size = -1
	case 2:
		return "null"
	case 3:
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"architecture":"amd64","os":"linux"},"urls":[%q]}`, s.text, s.digest(content), size, s.text)
	case 4:
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, s.digest(content), size)
	}
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, digestOf(content), size)
}

// document is a manifest of some kind.
func (s *session) document(mediaType string) []byte {
	sample := sampleImage()
	var fields []string
	add := func(name, value string) { fields = append(fields, fmt.Sprintf("%q:%s", name, value)) }
	add("schemaVersion", pick(s, []string{"2", "2", "2", "1", `"2"`, "null"}))
	if s.next()%4 != 1 {
		add("mediaType", fmt.Sprintf("%q", mediaType))
	}
	form := s.next()
	if form&1 == 0 {
		add("config", s.descriptor("application/vnd.oci.image.config.v1+json", sample.config))
		add("layers", "["+s.descriptor("application/vnd.oci.image.layer.v1.tar", sample.layer)+"]")
	}
	if form&2 != 0 {
		add("manifests", "["+s.descriptor(manifestTypes[0], sample.manifest)+"]")
	}
	if form&4 != 0 {
		add("subject", s.descriptor(manifestTypes[0], sample.manifest))
		add("artifactType", `"application/vnd.test"`)
		add("annotations", `{"a":"b"}`)
	}
	if form&8 != 0 {
		add("blobs", "["+s.descriptor("application/octet-stream", sample.layer)+"]")
	}
	if form&16 != 0 {
		add("layers", pick(s, []string{"null", "[]", "{}", "[null]", "1"}))
	}
	return []byte("{" + strings.Join(fields, ",") + "}")
}

// manifest pushes a manifest.
func (s *session) manifest() {
	mediaType := pick(s, append([]string{s.text}, manifestTypes...))
	content := s.document(mediaType)
	switch s.next() % 8 {
	case 1:
		content = []byte(s.text)
	case 2:
		content = sampleImage().manifest
	case 3:
		content = content[:len(content)/2]
	}
	repository, query := s.repository(), make(url.Values)
	for range s.next() % 4 {
		query.Add("tag", pick(s, []string{"a", "b", s.text}))
	}
	target := "/v2/" + repository + "/manifests/" + s.reference(content) + "?" + query.Encode()
	answer := s.send(http.MethodPut, target, s.headers(append(s.odd(), "Content-Type: "+mediaType)...), content)
	if answer == nil || answer.Code != http.StatusCreated {
		return
	}
	s.keep(repository, "manifests", answer, content)
	if subject := answer.Header().Get("OCI-Subject"); subject != "" {
		s.expectReferrer(repository, subject, answer.Header().Get("Docker-Content-Digest"))
	}
}

// expectReferrer wants a manifest among the referrers of its subject.
func (s *session) expectReferrer(repository, subject, manifest string) {
	s.t.Helper()
	answer := s.send(http.MethodGet, "/v2/"+repository+"/referrers/"+subject, []string{basic("ci")}, nil)
	if answer == nil || answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), manifest) {
		s.t.Errorf("%s is not among the referrers of %s: %v", manifest, subject, answer)
	}
}

// read asks for content, with and without a body.
func (s *session) read() {
	content := s.content()
	target := "/v2/" + s.repository() + "/" + pick(s, []string{"blobs", "manifests", "referrers"}) + "/" + s.reference(content)
	headers := s.headers(s.odd()...)
	whole, head := s.send(http.MethodGet, target, headers, nil), s.send(http.MethodHead, target, headers, nil)
	if whole == nil || head == nil {
		return
	}
	if whole.Code != head.Code {
		s.t.Errorf("%s %v: %d, and %d without the body", target, headers, whole.Code, head.Code)
	}
}

// list asks for one of the lists there are.
func (s *session) list() {
	path := pick(s, []string{
		"/v2/" + s.repository() + "/tags/list", "/v2/_catalog", "/v2/" + s.repository() + "/referrers/" + digestOf(sampleImage().manifest), "/v2/", "/",
	})
	query := make(url.Values)
	query.Set(pick(s, []string{"n", "last", "artifactType"}), pick(s, []string{"1", "0", "-1", "99999999999999999999", "latest", s.text}))
	s.send(pick(s, []string{http.MethodGet, http.MethodHead, http.MethodPost}), path+"?"+query.Encode(), s.headers(s.odd()...), nil)
}

// remove deletes content or a tag; what has been deleted is gone.
func (s *session) remove() {
	content := s.content()
	repository, kind, reference := s.repository(), pick(s, []string{"manifests", "blobs"}), s.reference(content)
	answer := s.send(http.MethodDelete, "/v2/"+repository+"/"+kind+"/"+reference, s.headers(s.odd()...), nil)
	if answer == nil || answer.Code != http.StatusAccepted {
		return
	}
	s.expect(kept{repository, kind, reference}, http.StatusNotFound)
	// distribution also forgets the blob whose digest a deleted manifest has.
	for _, forgotten := range []string{"manifests", "blobs"} {
		delete(s.acknowledged, kept{repository, forgotten, reference})
	}
}

// token fetches a token.
func (s *session) token() {
	query := make(url.Values)
	for range s.next() % 3 {
		query.Add("scope", pick(s, []string{
			"repository:team/app:pull,push", "repository:public/lib:pull", "repository:other:*", "registry:catalog:*", s.text,
		}))
	}
	query.Set("service", pick(s, []string{"test", "", s.text}))
	if s.next()%2 == 0 {
		s.send(http.MethodGet, "/auth/token?"+query.Encode(), s.headers(s.odd()...), nil)
		return
	}
	query.Set("grant_type", pick(s, []string{"password", "refresh_token", s.text}))
	query.Set("username", pick(s, []string{"ci", "", s.text}))
	query.Set("password", pick(s, []string{"ci", s.text}))
	headers := []string{"Content-Type: application/x-www-form-urlencoded"}
	s.send(http.MethodPost, "/auth/token", append(headers, s.odd()...), []byte(query.Encode()))
}

// foreign sends a request to wherever text leads.
func (s *session) foreign() {
	method := pick(s, []string{
		http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodOptions, "BREW",
	})
	target := pick(s, []string{"/v2/", "/v2/team/app/", "/", "/v2/team/app/blobs/uploads/", "/auth/"}) + s.text
	s.send(method, target, s.headers(s.odd()...), s.content())
}
