package oci

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strconv"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// answer is one of the application's that something is done before.
type answer struct {
	http.ResponseWriter
	before func(status int) int // returns the status that is sent
	begun  bool
}

// WriteHeader sends the status.
func (a *answer) WriteHeader(status int) {
	if !a.begun {
		a.begun = true
		status = a.before(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write sends p.
func (a *answer) Write(p []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// A record is an answer of the application that is not sent yet. Only pushes are asked for so: their
// answers are short.
type record struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// ask has the application answer r.
func (s *Server) ask(r *http.Request) *record {
	answer := &record{header: make(http.Header)}
	s.app.ServeHTTP(answer, r)
	return answer
}

// Header is what will be sent.
func (a *record) Header() http.Header { return a.header }

// WriteHeader keeps the status.
func (a *record) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write keeps p.
func (a *record) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *record) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // a client that is gone needs no answer
}

// read is the body of a push that remembers what the application has read of it.
type read struct {
	io.ReadCloser
	size    int64
	content bytes.Buffer
}

func newRead(body io.ReadCloser) *read { return &read{ReadCloser: body} }

// Read remembers no more than a manifest may have. One that could not be read again ends in an error, so that
// the application does not store it.
func (b *read) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.size += int64(n)
	if b.size <= maxManifest {
		b.content.Write(p[:n])
	}
	if err == io.EOF {
		if fault := unreadable(b.Bytes()); fault != nil {
			err = fault
		}
	}
	return n, err
}

// Bytes is what was read.
func (b *read) Bytes() []byte { return b.content.Bytes() }

// again is a body of what was read.
func (b *read) again() io.ReadCloser { return io.NopCloser(bytes.NewReader(b.Bytes())) }

// created says that content has become one of the repository, and where it is.
func (s *Server) created(w http.ResponseWriter, r *http.Request, name reference.Named, content digest.Digest, address func(reference.Canonical) (string, error)) {
	canonical, err := reference.WithDigest(name, content)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	location, err := address(canonical)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Location", location)
	w.Header().Set("Docker-Content-Digest", content.String())
	w.Header().Set("Content-Length", strconv.Itoa(0))
	w.WriteHeader(http.StatusCreated)
}
