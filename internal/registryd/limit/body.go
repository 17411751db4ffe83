package limit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/distribution/distribution/v3/registry/api/errcode"

	"docker-registry-operator/internal/registryd/route"
)

// Bodies refuses a body beyond ManifestBytes, unless it is of a blob.
func Bodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bodiless(r) || route.IsUpload(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		if r.ContentLength > ManifestBytes {
			refuseSize(w)
			return
		}
		bounded := &boundedBody{ReadCloser: http.MaxBytesReader(w, r.Body, ManifestBytes)}
		r.Body = bounded
		next.ServeHTTP(&boundedAnswer{ResponseWriter: w, body: bounded}, r)
	})
}

// boundedBody remembers that a client has sent too much.
type boundedBody struct {
	io.ReadCloser
	exceeded bool
}

// Read reads up to the bound.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var tooLarge *http.MaxBytesError
	b.exceeded = b.exceeded || errors.As(err, &tooLarge)
	return n, err
}

// boundedAnswer puts the reason in the place of what a handler makes of a body that ended too
// early for it.
type boundedAnswer struct {
	http.ResponseWriter
	body    *boundedBody
	refused bool
}

// Unwrap is for http.ResponseController.
func (a *boundedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader sends status, or refuses the body.
func (a *boundedAnswer) WriteHeader(status int) {
	switch {
	case a.refused:
	case a.body.exceeded && status >= http.StatusBadRequest:
		a.refused = true
		refuseSize(a.ResponseWriter)
	default:
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write sends p, unless the body was refused.
func (a *boundedAnswer) Write(p []byte) (int, error) {
	if a.refused {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// refuseSize answers with the status that the specification recommends, which distribution's
// code for a wrong size does not have.
func refuseSize(w http.ResponseWriter) {
	refusal := errcode.Errors{errcode.Error{
		Code:    errcode.ErrorCodeSizeInvalid,
		Message: fmt.Sprintf("a manifest may have %d MiB", ManifestBytes>>20),
	}}
	w.Header().Del("Content-Length")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusRequestEntityTooLarge)
	_ = json.NewEncoder(w).Encode(refusal) // a client that is gone needs no answer
}
