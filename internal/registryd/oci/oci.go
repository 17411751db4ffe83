// Package oci answers what the OCI distribution specification asks for and distribution's application
// does not: the list of referrers, content that is addressed by another digest than sha256, tags as
// parameters of a push, a push of a blob in one request, a mount from anywhere. Every other request goes
// on to the application, and what is stored is what a stock registry could have stored.
package oci

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/notifications"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	v2 "github.com/distribution/distribution/v3/registry/api/v2"
	"github.com/distribution/distribution/v3/registry/auth"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	events "github.com/docker/go-events"
	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"

	"docker-registry-operator/internal/registryd/referrer"
	"docker-registry-operator/internal/registryd/route"
)

// Options are what a Server knows of the application that it stands before.
type Options struct {
	// Storage is what the application keeps everything on.
	Storage storagedriver.StorageDriver
	// Referrers is the index of Storage.
	Referrers *referrer.Index
	// Config is what the application was built from.
	Config *configuration.Configuration
	// Admit answers a request that may not have all of access, and says whose it is.
	Admit func(w http.ResponseWriter, r *http.Request, access ...auth.Access) (user string, ok bool)
	// Access is what a method needs of a repository.
	Access func(method, repository string) []auth.Access
	// Public says that Admit lets everybody in.
	Public bool
	// ReadOnly says that the application takes no pushes.
	ReadOnly bool
	// Upstream is the URL of the registry that this one is a cache of, "" if it is none or that one
	// cannot be asked.
	Upstream string
	// Source and Sink are of the notifications.
	Source notifications.SourceRecord
	Sink   events.Sink
	Log    *logrus.Entry
}

// Server answers in the place of the application, or lets it answer.
type Server struct {
	Options
	app    http.Handler
	base   *url.URL // of the links in answers, nil if requests tell it
	verify *verifier
}

// New is a Server of these options.
func New(options Options) (*Server, error) {
	s := &Server{Options: options}
	if host := options.Config.HTTP.Host; host != "" {
		base, err := url.Parse(host)
		if err != nil {
			return nil, err
		}
		s.base = base
	}
	var err error
	s.verify, err = newVerifier(options.Storage, options.Config.Validation)
	return s, err
}

// cache says that the registry holds what another one has, and takes no pushes.
func (s *Server) cache() bool { return s.Config.Proxy.RemoteURL != "" }

// Serve is the Server before app.
func (s *Server) Serve(app http.Handler) http.Handler {
	before := *s
	before.app = app
	return &before
}

// ServeHTTP answers r.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if ordinary(r) {
		s.app.ServeHTTP(w, r)
		return
	}
	asked, ok := parse(s.Config.HTTP.Prefix, r.URL.Path)
	if !ok {
		s.app.ServeHTTP(w, r)
		return
	}
	if asked.kind == route.Referrers {
		s.serveReferrers(w, r, asked)
		return
	}
	if s.cache() || s.ReadOnly {
		s.app.ServeHTTP(w, r)
		return
	}
	if asked.kind == route.Uploads {
		r = legible(r)
	}
	switch {
	case asked.kind == route.Manifests && r.Method == http.MethodPut:
		s.putManifest(w, r, asked)
	case asked.kind == route.Manifests && r.Method == http.MethodDelete:
		s.deleteManifest(w, r, asked)
	case asked.kind == route.Uploads && r.Method == http.MethodPost:
		s.startUpload(w, r, asked)
	case asked.kind == route.Uploads && r.Method == http.MethodPut:
		s.finishUpload(w, r, asked)
	case asked.kind == route.Blobs && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		s.readBlob(w, r, asked)
	default:
		s.app.ServeHTTP(w, r)
	}
}

// ordinary says that r only reads what the application has: most requests do, and need no more than this.
func ordinary(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	path := r.URL.Path
	return !strings.Contains(path, "/referrers/") &&
		(!strings.Contains(path, "/blobs/") || strings.Contains(path, "/blobs/sha256:"))
}

// urls makes the links in answers as the application does.
func (s *Server) urls(r *http.Request) *v2.URLBuilder {
	if s.base != nil {
		return v2.NewURLBuilder(s.base, false)
	}
	return v2.NewURLBuilderFromRequest(r, s.Config.HTTP.RelativeURLs)
}

// refuse answers with an error of the API.
func (s *Server) refuse(w http.ResponseWriter, code errcode.ErrorCode, detail any) {
	_ = errcode.ServeJSON(w, code.WithDetail(detail)) // a client that is gone needs no answer
}

// fail answers with an error that is not the client's.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.WithContext(r.Context()).WithError(err).Error("cannot answer request")
	s.refuse(w, errcode.ErrorCodeUnknown, nil)
}

// foreign is the digest in text if it is one that distribution does not store content under.
func foreign(text string) (digest.Digest, bool) {
	content, err := digest.Parse(text)
	return content, err == nil && content.Algorithm() != digest.Canonical
}
