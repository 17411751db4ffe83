package registryd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// repositoryLimit bounds how many repositories are counted, and countTimeout how long that
// may take: a storage service lists all objects of a repository on the way to the next.
const (
	repositoryLimit = 1000
	countTimeout    = 20 * time.Second
)

// Repositories is how many repositories the storage in force holds.
type Repositories struct {
	// Config is the digest of the configuration that the storage is that of.
	Config string `json:"config"`
	// Count is not all of them if More.
	Count int  `json:"repositories"`
	More  bool `json:"more"`
}

func (s *Server) answerRepositories(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), countTimeout)
	defer cancel()
	g := s.current.Load()
	counted, err := repositories(ctx, g.app.driver)
	if err != nil {
		writeJSON(w, http.StatusBadGateway, refusal{Error: err.Error()})
		return
	}
	counted.Config = g.digest
	writeJSON(w, http.StatusOK, counted)
}

// repositories counts. A storage that has never been written to has no directory of them.
func repositories(ctx context.Context, driver storagedriver.StorageDriver) (Repositories, error) {
	namespace, err := storage.NewRegistry(ctx, driver)
	if err != nil {
		return Repositories{}, fmt.Errorf("cannot read storage: %w", err)
	}
	names := make([]string, repositoryLimit+1)
	n, err := namespace.Repositories(ctx, names, "")
	switch {
	case errors.As(err, new(storagedriver.PathNotFoundError)) && n == 0:
		return Repositories{}, nil
	case err == nil, n > repositoryLimit, n > 0 && ctx.Err() != nil:
		return Repositories{Count: min(n, repositoryLimit), More: true}, nil
	case errors.Is(err, io.EOF):
		return Repositories{Count: n}, nil
	}
	return Repositories{}, fmt.Errorf("cannot list repositories: %w", err)
}
