package oci

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// pageLimit bounds the descriptors of a page. Some clients read only the first one.
	pageLimit = 1000
	// pageSize bounds a page in bytes, as clients do: it is a manifest to them.
	pageSize = maxManifest
)

// serveReferrers answers with an index, also for what is not there: whoever pushes a signature first
// wants no error.
func (s *Server) serveReferrers(w http.ResponseWriter, r *http.Request, asked target) {
	if s.cache() && s.Upstream == "" {
		s.app.ServeHTTP(w, r) // it knows of no referrers, so that clients ask for the tag
		return
	}
	if _, ok := s.Admit(w, r, s.Access(http.MethodGet, asked.name.Name())...); !ok {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	subject, err := digest.Parse(asked.reference)
	if err != nil {
		s.refuse(w, errcode.ErrorCodeDigestInvalid, "a digest is needed, such as sha256:<64 hexadecimal digits>")
		return
	}
	if !s.cache() || !s.askUpstream(w, r, asked, subject) {
		s.listReferrers(w, r, asked, subject)
	}
}

// listReferrers answers with what is on storage.
func (s *Server) listReferrers(w http.ResponseWriter, r *http.Request, asked target, subject digest.Digest) {
	query := r.URL.Query()
	limit, err := pageOf(query)
	if err != nil {
		s.refuse(w, errcode.ErrorCodePaginationNumberInvalid, "n: a number from 1 is needed")
		return
	}
	found, err := s.Referrers.Of(r.Context(), asked.name.Name(), subject)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if s.cache() && len(found) == 0 {
		// Nothing is cached, which does not say that there is nothing.
		s.refuse(w, errcode.ErrorCodeUnavailable, "the registry that this one is a cache of does not answer")
		return
	}
	if wanted := query.Get("artifactType"); wanted != "" {
		found = slices.DeleteFunc(found, func(d v1.Descriptor) bool { return d.ArtifactType != wanted })
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	last := digest.Digest(query.Get("last"))
	found = slices.DeleteFunc(found, func(d v1.Descriptor) bool { return d.Digest <= last })
	page := cut(found, limit)
	if len(page) < len(found) {
		query.Set("last", page[len(page)-1].Digest.String())
		w.Header().Set("Link", "<"+next(r.URL, query)+`>; rel="next"`)
	}
	s.sendIndex(w, r, page)
}

// pageOf is how many descriptors a client wants at most.
func pageOf(query url.Values) (int, error) {
	if !query.Has("n") {
		return pageLimit, nil
	}
	n, err := strconv.ParseUint(query.Get("n"), 10, 31)
	if err != nil || n == 0 {
		return 0, strconv.ErrRange
	}
	return min(int(n), pageLimit), nil
}

// next is the address of the following page, relative to the host, which a proxy may have changed.
func next(of *url.URL, query url.Values) string {
	return (&url.URL{Path: of.Path, RawPath: of.RawPath, RawQuery: query.Encode()}).String()
}

// cut is what of found goes into one page: one descriptor at least.
func cut(found []v1.Descriptor, limit int) []v1.Descriptor {
	size := 0
	for i, descriptor := range found {
		text, _ := json.Marshal(descriptor) // of strings and numbers
		size += len(text) + 1
		if i > 0 && (i == limit || size > pageSize) {
			return found[:i]
		}
	}
	return found
}

func (s *Server) sendIndex(w http.ResponseWriter, r *http.Request, page []v1.Descriptor) {
	if page == nil {
		page = []v1.Descriptor{}
	}
	content, err := json.Marshal(v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageIndex,
		Manifests: page,
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", v1.MediaTypeImageIndex)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(content) // a client that is gone needs no answer
	}
}
