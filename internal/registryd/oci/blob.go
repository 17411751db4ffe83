package oci

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"docker-registry-operator/internal/registryd/layout"
)

var errDigest = errors.New("content does not match digest")

// readBlob lets an answer have the digest that was asked for: a stock registry keeps a blob that was pushed
// under another digest than sha256 under that one, with a link.
func (s *Server) readBlob(w http.ResponseWriter, r *http.Request, asked target) {
	content, isForeign := foreign(asked.reference)
	if !isForeign {
		s.app.ServeHTTP(w, r)
		return
	}
	s.app.ServeHTTP(&answer{ResponseWriter: w, before: func(status int) int {
		if w.Header().Get("Docker-Content-Digest") != "" {
			w.Header().Set("Docker-Content-Digest", content.String())
		}
		return status
	}}, r)
}

// startUpload begins an upload, or does without one.
func (s *Server) startUpload(w http.ResponseWriter, r *http.Request, asked target) {
	query := r.URL.Query()
	wanted, err := digest.Parse(query.Get("mount"))
	if err == nil && s.mount(w, r, asked, wanted) {
		return
	}
	// Some clients tell the digest before they send content in a request of its own.
	if query.Has("digest") && r.ContentLength != 0 {
		s.push(w, r, asked)
		return
	}
	s.app.ServeHTTP(w, r)
}

// push stores a blob that comes with the request which begins its upload.
func (s *Server) push(w http.ResponseWriter, r *http.Request, asked target) {
	begin := r.Clone(r.Context())
	begin.URL.RawQuery = ""
	begin.Body, begin.ContentLength = http.NoBody, 0
	begin.Header.Del("Content-Length")
	begun := s.ask(begin)
	location, err := url.Parse(begun.header.Get("Location"))
	if err != nil || begun.status != http.StatusAccepted {
		begun.send(w)
		return
	}
	query := location.Query()
	query.Set("digest", r.URL.Query().Get("digest"))
	asked.reference = begun.header.Get("Docker-Upload-UUID")
	finish := r.Clone(r.Context())
	finish.Method = http.MethodPut
	finish.URL.Path, finish.URL.RawPath, finish.URL.RawQuery = r.URL.Path+asked.reference, "", query.Encode()
	s.finishUpload(w, finish, asked)
}

// finishUpload makes a blob of an upload, by the application if that can.
func (s *Server) finishUpload(w http.ResponseWriter, r *http.Request, asked target) {
	content, isForeign := foreign(r.URL.Query().Get("digest"))
	if !isForeign {
		s.app.ServeHTTP(w, r)
		return
	}
	// The application checks the state of the upload, and takes what comes with this request.
	rest := r.Clone(r.Context())
	rest.Method = http.MethodPatch
	rest.Header.Set("Content-Type", blobType)
	if taken := s.ask(rest); taken.status != http.StatusAccepted {
		taken.send(w)
		return
	}
	user, ok := s.Admit(w, r, s.Access(http.MethodPut, asked.name.Name())...)
	if !ok {
		return
	}
	size, err := s.commit(r.Context(), asked, content)
	if errors.Is(err, errDigest) {
		s.refuse(w, errcode.ErrorCodeDigestInvalid, err.Error())
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	blob := v1.Descriptor{MediaType: blobType, Digest: content, Size: size}
	s.tell(r, s.events(r, user, s.Sink).BlobPushed(asked.name, blob))
	s.created(w, r, asked.name, content, s.urls(r).BuildBlobURL)
}

// commit moves an upload to where content is kept and links it. Broken off, it leaves an upload, or a blob
// without a link: both are swept away in time.
func (s *Server) commit(ctx context.Context, asked target, content digest.Digest) (int64, error) {
	name, data := asked.name.Name(), layout.UploadData(asked.name.Name(), asked.reference)
	if err := s.seal(ctx, data); err != nil {
		return 0, err
	}
	size, err := s.check(ctx, data, content)
	if errors.Is(err, errDigest) {
		return 0, errors.Join(err, s.Storage.Delete(ctx, layout.Upload(name, asked.reference)))
	}
	if err != nil {
		return 0, err
	}
	_, err = s.Storage.Stat(ctx, layout.Blob(content))
	if layout.Missing(err) {
		err = s.Storage.Move(ctx, data, layout.Blob(content))
	}
	if err != nil {
		return 0, err
	}
	if err := layout.Link(ctx, s.Storage, layout.Layer(name, content), content); err != nil {
		return 0, err
	}
	err = s.Storage.Delete(ctx, layout.Upload(name, asked.reference))
	if layout.Missing(err) {
		err = nil
	}
	return size, err
}

// seal makes one file of what was uploaded. An upload of nothing may have none.
func (s *Server) seal(ctx context.Context, data string) error {
	writer, err := s.Storage.Writer(ctx, data, true)
	if layout.Missing(err) {
		return s.Storage.PutContent(ctx, data, nil)
	}
	if err != nil {
		return err
	}
	return errors.Join(writer.Commit(ctx), writer.Close())
}

// check reads what was uploaded and returns its size.
func (s *Server) check(ctx context.Context, data string, content digest.Digest) (int64, error) {
	reader, err := s.Storage.Reader(ctx, data, 0)
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	verifier := content.Verifier()
	size, err := io.Copy(verifier, reader)
	if err != nil {
		return 0, err
	}
	if !verifier.Verified() {
		return 0, errDigest
	}
	return size, nil
}

// mount links a blob that is on storage already where the application cannot. It reports whether it has
// answered.
func (s *Server) mount(w http.ResponseWriter, r *http.Request, asked target, wanted digest.Digest) bool {
	source := r.URL.Query().Get("from")
	if source == "" && !s.Public || source != "" && wanted.Algorithm() == digest.Canonical {
		return false
	}
	access := s.Access(http.MethodPost, asked.name.Name())
	target := wanted
	if source != "" {
		access = append(access, s.Access(http.MethodGet, source)...)
		named, err := reference.WithName(source)
		if err != nil {
			return false
		}
		if target, err = layout.Resolve(r.Context(), s.Storage, layout.Layer(named.Name(), wanted)); err != nil {
			return false
		}
	}
	found, err := s.Storage.Stat(r.Context(), layout.Blob(target))
	if err != nil {
		return false
	}
	user, ok := s.Admit(w, r, access...)
	if !ok {
		return true
	}
	// distribution reads a blob by its link from one digest to another, and then by the link of that.
	for _, linked := range slices.Compact([]digest.Digest{target, wanted}) {
		if err := layout.Link(r.Context(), s.Storage, layout.Layer(asked.name.Name(), linked), target); err != nil {
			s.fail(w, r, err)
			return true
		}
	}
	blob := v1.Descriptor{MediaType: blobType, Digest: wanted, Size: found.Size()}
	s.tell(r, s.events(r, user, s.Sink).BlobPushed(asked.name, blob))
	s.created(w, r, asked.name, wanted, s.urls(r).BuildBlobURL)
	return true
}
