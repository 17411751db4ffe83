package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"docker-registry-operator/internal/registryd/layout"
	"docker-registry-operator/internal/registryd/referrer"
)

const (
	// maxManifest bounds a manifest in bytes, as distribution does.
	maxManifest = 4 << 20
	// maxTags bounds the tags of one push.
	maxTags = 100
)

// putManifest has a manifest stored, by the application if that can.
func (s *Server) putManifest(w http.ResponseWriter, r *http.Request, asked target) {
	tags := r.URL.Query()["tag"]
	content, isForeign := foreign(asked.reference)
	isForeign = isForeign && len(s.Config.Policy.Repository.Classes) == 0 // a policy is for the application to apply
	if _, err := digest.Parse(asked.reference); err != nil {
		tags = nil // they are for a push by digest
	}
	if (isForeign || len(tags) > 0) && !s.acceptTags(w, r, asked, tags) {
		return
	}
	if isForeign {
		s.storeManifest(w, r, asked, content, tags)
		return
	}
	received := newRead(r.Body)
	r = r.Clone(r.Context())
	r.Body = received
	if len(tags) > 0 {
		s.putTagged(w, r, asked, received, tags)
		return
	}
	s.app.ServeHTTP(&answer{ResponseWriter: w, before: func(status int) int {
		if status == http.StatusCreated {
			s.announce(w.Header(), r, asked, received.Bytes())
		}
		return tooLarge(status, received)
	}}, r)
}

// tooLarge is the status of an answer to what was received: the application says of a manifest that is
// too large only that it is bad.
func tooLarge(status int, received *read) int {
	if status == http.StatusBadRequest && received.size > maxManifest {
		return http.StatusRequestEntityTooLarge
	}
	return status
}

// acceptTags reports whether tags can be set; if not, the request has been answered.
func (s *Server) acceptTags(w http.ResponseWriter, r *http.Request, asked target, tags []string) bool {
	bad := slices.IndexFunc(tags, func(tag string) bool {
		_, err := reference.WithTag(asked.name, tag)
		return err != nil
	})
	if bad < 0 && len(tags) <= maxTags {
		return true
	}
	if _, ok := s.Admit(w, r, s.Access(http.MethodPut, asked.name.Name())...); !ok {
		return false
	}
	if bad < 0 {
		w.WriteHeader(http.StatusRequestURITooLong)
		return false
	}
	s.refuse(w, errcode.ErrorCodeTagInvalid, tags[bad])
	return false
}

// putTagged pushes a manifest by its digest and then by each tag, so that the application tells of each.
func (s *Server) putTagged(w http.ResponseWriter, r *http.Request, asked target, received *read, tags []string) {
	pushed := s.ask(r)
	if pushed.status != http.StatusCreated {
		pushed.status = tooLarge(pushed.status, received)
		pushed.send(w)
		return
	}
	for _, tag := range tags {
		byTag := r.Clone(r.Context())
		byTag.URL.Path, byTag.URL.RawPath, byTag.URL.RawQuery = path.Dir(r.URL.Path)+"/"+tag, "", ""
		byTag.Body = received.again()
		byTag.ContentLength = int64(len(received.Bytes()))
		if tagged := s.ask(byTag); tagged.status != http.StatusCreated {
			tagged.send(w)
			return
		}
		pushed.header.Add("OCI-Tag", tag)
	}
	s.announce(pushed.header, r, asked, received.Bytes())
	pushed.send(w)
}

// storeManifest stores a manifest under a digest that the application does not store under. A stock
// registry reads it all the same.
func (s *Server) storeManifest(w http.ResponseWriter, r *http.Request, asked target, content digest.Digest, tags []string) {
	user, ok := s.Admit(w, r, s.Access(http.MethodPut, asked.name.Name())...)
	if !ok {
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if errors.As(err, new(*http.MaxBytesError)) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if err == nil {
		err = unreadable(text)
	}
	if err != nil {
		s.refuse(w, errcode.ErrorCodeManifestInvalid, err.Error())
		return
	}
	if content.Algorithm().FromBytes(text) != content {
		s.refuse(w, errcode.ErrorCodeDigestInvalid, nil)
		return
	}
	s.storeChecked(w, r, asked, user, content, text, tags)
}

// storeChecked stores the text of a manifest that has that digest, if distribution would.
func (s *Server) storeChecked(w http.ResponseWriter, r *http.Request, asked target, user string, content digest.Digest, text []byte, tags []string) {
	manifest, _, err := distribution.UnmarshalManifest(r.Header.Get("Content-Type"), text)
	if err != nil {
		s.refuse(w, errcode.ErrorCodeManifestInvalid, err.Error())
		return
	}
	if err := s.verify.Check(r.Context(), asked.name, manifest); err != nil {
		s.rejected(w, r, err)
		return
	}
	if err := layout.PutManifest(r.Context(), s.Storage, asked.name.Name(), content, text, tags...); err != nil {
		s.fail(w, r, err)
		return
	}
	s.tell(r, s.manifestPushed(r, user, asked.name, content, manifest, tags))
	for _, tag := range tags {
		w.Header().Add("OCI-Tag", tag)
	}
	s.announce(w.Header(), r, asked, text)
	s.created(w, r, asked.name, content, func(pushed reference.Canonical) (string, error) {
		return s.urls(r).BuildManifestURL(pushed)
	})
}

// unreadable is what is wrong with a manifest that distribution would store and then not read, because it looks at
// the version only when it reads, or that it would call an error of its own: a digest that is none.
func unreadable(manifest []byte) error {
	var names struct {
		specs.Versioned
		Config            *v1.Descriptor
		Layers, Manifests []v1.Descriptor
	}
	// A field of another type is left out; what is no JSON is for the application to refuse.
	if err := json.Unmarshal(manifest, &names); err != nil && !errors.As(err, new(*json.UnmarshalTypeError)) {
		return nil
	}
	if names.SchemaVersion != 2 {
		return errors.New("schemaVersion must be 2")
	}
	named := slices.Concat(names.Layers, names.Manifests)
	if names.Config != nil {
		named = append(named, *names.Config)
	}
	for _, part := range named {
		if err := part.Digest.Validate(); err != nil {
			return fmt.Errorf("digest %q: %w", part.Digest, err)
		}
	}
	return nil
}

// rejected answers a push with why the manifest is not stored.
func (s *Server) rejected(w http.ResponseWriter, r *http.Request, err error) {
	if errors.As(err, new(storagedriver.Error)) || r.Context().Err() != nil {
		s.fail(w, r, err)
		return
	}
	faults, ok := err.(distribution.ErrManifestVerification)
	if !ok {
		faults = distribution.ErrManifestVerification{err}
	}
	var told errcode.Errors
	for _, fault := range faults {
		if missing, ok := fault.(distribution.ErrManifestBlobUnknown); ok {
			told = append(told, errcode.ErrorCodeManifestBlobUnknown.WithDetail(missing.Digest))
			continue
		}
		told = append(told, errcode.ErrorCodeManifestInvalid.WithDetail(fault.Error()))
	}
	_ = errcode.ServeJSON(w, told) // a client that is gone needs no answer
}

// announce adds to the answer of a push what the client wants to know of the manifest. A client that is
// not told of the subject keeps the index at the fallback tag itself.
func (s *Server) announce(header http.Header, r *http.Request, asked target, manifest []byte) {
	if warning := warn(manifest); warning != "" {
		header.Add("Warning", warning)
	}
	subject, _ := referrer.Parse(manifest)
	if subject == "" {
		return
	}
	if err := s.Referrers.Update(r.Context(), asked.name.Name(), subject); err != nil {
		s.Log.WithContext(r.Context()).WithError(err).Error("a referrer was pushed without its index")
		return
	}
	header.Set("OCI-Subject", subject.String())
}

// deleteManifest also takes the manifest off the index at its subject's fallback tag.
func (s *Server) deleteManifest(w http.ResponseWriter, r *http.Request, asked target) {
	content, err := digest.Parse(asked.reference)
	if err != nil {
		s.app.ServeHTTP(w, r)
		return
	}
	s.app.ServeHTTP(&answer{ResponseWriter: w, before: func(status int) int {
		if status != http.StatusAccepted {
			return status
		}
		subject, err := s.Referrers.Subject(r.Context(), content)
		if err == nil && subject != "" {
			err = s.Referrers.Update(r.Context(), asked.name.Name(), subject)
		}
		if err != nil {
			s.Log.WithContext(r.Context()).WithError(err).Error("a referrer was deleted without its index")
		}
		return status
	}}, r)
}
