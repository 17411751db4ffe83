package registryd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"docker-registry-operator/internal/registryd/listen"
)

// adminTimeout is how long a client of the admin socket may take to send a request: all
// of them are a few bytes and come from the same machine.
const adminTimeout = 10 * time.Second

// admin answers on the admin socket.
type admin struct {
	server *http.Server
	done   chan error
}

func (s *Server) openAdmin(ctx context.Context, path string) (*admin, error) {
	socket, err := listen.OpenPrivate(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("cannot open admin socket: %w", err)
	}
	a := &admin{
		server: &http.Server{Handler: s.adminHandler(), ReadTimeout: adminTimeout},
		done:   make(chan error, 1),
	}
	go func() { a.done <- a.server.Serve(socket) }()
	return a, nil
}

// close answers the requests that are under way and removes the socket.
func (a *admin) close(ctx context.Context) error {
	err := a.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, a.server.Close())
	}
	if serveErr := <-a.done; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// adminHandler is the interface that docs/architecture.md describes.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.Status())
	})
	mux.HandleFunc("GET /v1/repositories", s.answerRepositories)
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Reload(); err != nil {
			writeJSON(w, http.StatusUnprocessableEntity, refusal{Error: err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, s.Status())
	})
	mux.HandleFunc("POST /v1/retire", func(w http.ResponseWriter, _ *http.Request) {
		s.Retire()
		writeJSON(w, http.StatusAccepted, s.Status())
	})
	return mux
}

type refusal struct {
	Error string `json:"error"`
}
