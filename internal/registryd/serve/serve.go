// Package serve answers pulls of blobs and manifests from a directory that distribution's filesystem driver
// keeps, with fewer system calls and copies than distribution's application. It looks at the storage at each
// request, and leaves to the application what it is not certain of: other methods, other digests than sha256,
// clients that do not accept what is stored, and storage that does not look as it should. It writes nothing.
package serve

import (
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/sirupsen/logrus"

	"docker-registry-operator/internal/registryd/route"
)

// An Admit function reports whether a request may pull from repository, and whose it is. If it may not, it has
// been answered; the headers of every answer are set in either case.
type Admit func(w http.ResponseWriter, r *http.Request, repository string) (user string, ok bool)

// Server answers requests.
type Server struct {
	tree      tree
	prefix    string
	admit     Admit
	manifests *Manifests
	log       *logrus.Entry
	next      http.Handler
}

// Options are what New needs to know.
type Options struct {
	// Root is the root directory of the filesystem driver.
	Root string
	// Prefix is http.prefix of the configuration.
	Prefix string
	// Admit is asked about each request that would be answered here.
	Admit Admit
	// Manifests may be shared among servers, whatever their roots.
	Manifests *Manifests
	// Log gets a line for each request at debug.
	Log *logrus.Entry
	// Next is distribution's application.
	Next http.Handler
}

// New returns a Server.
func New(o Options) *Server {
	return &Server{
		tree: tree(filepath.Join(o.Root, "docker/registry/v2")), prefix: o.Prefix,
		admit: o.Admit, manifests: o.Manifests, log: o.Log, next: o.Next,
	}
}

// ServeHTTP answers a pull that it is certain of, and hands on what it is not.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked, ok := parsePull(s.prefix, r)
	if !ok {
		s.next.ServeHTTP(w, r)
		return
	}
	found, err := s.find(asked, r)
	lost, isGone := err.(gone)
	if err != nil && !isGone {
		s.log.WithContext(r.Context()).WithError(err).Debug("pull left to distribution")
		s.next.ServeHTTP(w, r)
		return
	}
	if err == nil {
		defer found.close()
	}
	user, ok := s.admit(w, r, asked.repository)
	if !ok {
		return
	}
	if isGone {
		_ = errcode.ServeJSON(w, lost.answer) // a client that has left needs no answer
	} else {
		found.answer(w, r)
	}
	s.tell(r, user, err)
}

// content is what a pull asked for.
type content interface {
	answer(w http.ResponseWriter, r *http.Request)
	close()
}

// gone is the answer where storage does not have what was asked for and distribution would find nothing else.
type gone struct{ answer errcode.Errors }

func (g gone) Error() string { return g.answer.Error() }

// missing is err, or gone if err says that something is not there.
func missing(err error, code errcode.ErrorCode, detail any) error {
	if errors.Is(err, fs.ErrNotExist) {
		return gone{errcode.Errors{code.WithDetail(detail)}}
	}
	return err
}

// find looks for what asked names. It happens before the access controller is asked, which is asked once only:
// what is left to the application it asks itself. Nothing of what was found shows if it refuses.
func (s *Server) find(asked pull, r *http.Request) (content, error) {
	if asked.kind == route.Blobs {
		return s.findBlob(asked)
	}
	return s.findManifest(asked, r)
}

// tell logs one line. distribution logs two at info for each pull, besides the access log, which costs more
// than the pull of a manifest.
func (s *Server) tell(r *http.Request, user string, err error) {
	if !s.log.Logger.IsLevelEnabled(logrus.DebugLevel) {
		return
	}
	log := s.log.WithContext(r.Context()).WithFields(logrus.Fields{
		"http.request.method": r.Method, "http.request.uri": r.RequestURI, "auth.user.name": user,
	})
	if err != nil {
		log = log.WithError(err)
	}
	log.Debug("pull answered")
}
