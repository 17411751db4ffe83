package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/manifest/manifestlist"
	"github.com/distribution/distribution/v3/manifest/ocischema"
	"github.com/distribution/distribution/v3/manifest/schema2"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// manifest is the content of a manifest with the headers of its answer.
type manifest struct {
	digest    string
	mediaType string
	body      []byte
	headers   http.Header
}

// findManifest looks at the tag and at the repository's link to the revision, which are what may change, and takes
// the content from memory if it is there. A client that does not accept it is answered by distribution, which
// has something else for some.
func (s *Server) findManifest(asked pull, r *http.Request) (content, error) {
	hex := asked.hex
	if asked.tag != "" {
		var err error
		// Without a tag distribution looks at nothing but the link either, and may know more: it is not gone.
		if hex, err = readLink(s.tree.tagLink(asked.repository, asked.tag)); err != nil {
			return nil, err
		}
		if etagMatch(r, algorithm+hex) {
			return unmodified{}, nil
		}
	}
	if err := checkLink(s.tree.revisionLink(asked.repository, hex), hex); err != nil {
		return nil, missing(err, errcode.ErrorCodeManifestUnknown, distribution.ErrManifestUnknownRevision{
			Name: asked.repository, Revision: digest.Digest(algorithm + hex),
		})
	}
	found, err := s.manifest(hex)
	if err != nil {
		return nil, err
	}
	if etagMatch(r, found.digest) {
		return unmodified{}, nil
	}
	if !found.suits(r, asked.tag != "") {
		return nil, fmt.Errorf("cannot answer with %s: it is not accepted", found.mediaType)
	}
	return found, nil
}

// manifest returns the manifest of that digest from memory, or else from storage.
func (s *Server) manifest(hex string) (*manifest, error) {
	if known := s.manifests.get(hex); known != nil {
		return known, nil
	}
	body, err := os.ReadFile(s.tree.data(hex))
	if err != nil {
		return nil, err
	}
	read, err := newManifest(hex, body)
	if err != nil {
		return nil, fmt.Errorf("cannot use manifest %s%s: %w", algorithm, hex, err)
	}
	s.manifests.add(hex, read)
	return read, nil
}

func newManifest(digits string, body []byte) (*manifest, error) {
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != digits {
		return nil, fmt.Errorf("it has become sha256:%x", sum)
	}
	mediaType, err := mediaTypeOf(body)
	if err != nil {
		return nil, err
	}
	m := &manifest{digest: algorithm + digits, mediaType: mediaType, body: body}
	m.headers = http.Header{
		"Content-Type":          {mediaType},
		"Content-Length":        {strconv.Itoa(len(body))},
		"Docker-Content-Digest": {m.digest},
		"Etag":                  {`"` + m.digest + `"`},
	}
	return m, nil
}

// mediaTypeOf finds out what distribution takes a stored manifest for, by its own decoders.
func mediaTypeOf(body []byte) (string, error) {
	var versioned struct {
		SchemaVersion int    `json:"schemaVersion"`
		MediaType     string `json:"mediaType"`
	}
	if err := json.Unmarshal(body, &versioned); err != nil {
		return "", err
	}
	if versioned.SchemaVersion != 2 {
		return "", fmt.Errorf("schema version %d", versioned.SchemaVersion)
	}
	var decoded distribution.Manifest
	var err error
	switch versioned.MediaType {
	case schema2.MediaTypeManifest:
		decoded, err = decode(body, new(schema2.DeserializedManifest))
	case v1.MediaTypeImageManifest:
		decoded, err = decode(body, new(ocischema.DeserializedManifest))
	case manifestlist.MediaTypeManifestList:
		decoded, err = decode(body, new(manifestlist.DeserializedManifestList))
	case v1.MediaTypeImageIndex:
		decoded, err = decode(body, new(ocischema.DeserializedImageIndex))
	case "":
		index := new(ocischema.DeserializedImageIndex)
		if decoded, err = decode(body, index); err != nil || index.Manifests == nil {
			decoded, err = decode(body, new(ocischema.DeserializedManifest))
		}
	default:
		err = fmt.Errorf("media type %q", versioned.MediaType)
	}
	if err != nil {
		return "", err
	}
	mediaType, _, err := decoded.Payload()
	return mediaType, err
}

func decode[M interface {
	distribution.Manifest
	json.Unmarshaler
}](body []byte, into M) (distribution.Manifest, error) {
	return into, into.UnmarshalJSON(body)
}

// suits reports whether distribution would answer r with m itself. It asks what a client accepts only of two
// media types: a manifest of Docker or an index goes to everybody.
func (m *manifest) suits(r *http.Request, byTag bool) bool {
	switch m.mediaType {
	case v1.MediaTypeImageManifest:
		return accepts(r, m.mediaType)
	case manifestlist.MediaTypeManifestList:
		return !byTag || accepts(r, m.mediaType)
	}
	return true
}

// accepts reports whether an Accept header names mediaType, in whatever order and with whatever weight.
func accepts(r *http.Request, mediaType string) bool {
	for _, header := range r.Header["Accept"] {
		for offered := range strings.SplitSeq(header, ",") {
			if strings.Contains(offered, ";") {
				parsed, _, err := mime.ParseMediaType(offered)
				if err != nil {
					continue
				}
				offered = parsed
			}
			if strings.EqualFold(strings.TrimSpace(offered), mediaType) {
				return true
			}
		}
	}
	return false
}

func etagMatch(r *http.Request, digest string) bool {
	return slices.ContainsFunc(r.Header["If-None-Match"], func(value string) bool {
		return value == digest || value == `"`+digest+`"` // as distribution, which knows no list
	})
}

func (m *manifest) answer(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	for name, values := range m.headers {
		header[name] = values
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(m.body) // a client that has left needs no answer
	}
}

func (m *manifest) close() {}

// unmodified is the answer to a client that has the manifest already.
type unmodified struct{}

func (unmodified) answer(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusNotModified)
}
func (unmodified) close() {}
