package oci

import (
	"io"
	"net/http"

	"github.com/opencontainers/go-digest"
)

// askUpstream answers as the registry does that this one is a cache of, since what refers to an image is
// known there alone. It reports false if that one gives no answer.
func (s *Server) askUpstream(w http.ResponseWriter, r *http.Request, asked target, subject digest.Digest) bool {
	address := s.Upstream + "/v2/" + asked.name.Name() + "/referrers/" + subject.String() + "?" + r.URL.RawQuery
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusNotFound:
		w.WriteHeader(http.StatusNotFound) // it has no such list, so that clients ask for the tag
		return true
	case http.StatusOK:
	default:
		return false
	}
	for _, name := range []string{"Content-Type", "Link", "OCI-Filters-Applied"} {
		if value := response.Header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, io.LimitReader(response.Body, 2*pageSize)) // a client that is gone needs no answer
	}
	return true
}
