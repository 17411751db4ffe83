package registryd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"docker-registry-operator/internal/registryd/filesystem"
)

const (
	// repositoriesRoot is where distribution keeps repositories.
	repositoriesRoot = "/docker/registry/v2/repositories"
	// manifestsDir is what a directory has that is a repository.
	manifestsDir = "_manifests"
	// defaultEntries is how many repositories are told to who does not say how many.
	defaultEntries = 100
)

// catalog answers which repositories there are, in distribution's order and pages. It walks the storage from
// the last repository of the page before, so it is right whoever else writes there.
type catalog struct {
	gate   *gate
	driver storagedriver.StorageDriver
	path   string
	max    int // repositories of a page
}

func newCatalog(g *generation) *catalog {
	return &catalog{
		gate: g.gate, driver: g.app.driver, max: g.Catalog.MaxEntries,
		path: strings.TrimSuffix(g.HTTP.Prefix, "/") + "/v2/_catalog",
	}
}

// serve answers in the place of next.
func (c *catalog) serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != c.path {
			next.ServeHTTP(w, r)
			return
		}
		visible, ok := c.gate.AdmitToCatalog(w, r)
		if !ok {
			return
		}
		if err := c.answer(w, r, visible); err != nil {
			_ = errcode.ServeJSON(w, err) // a client that is gone needs no answer
		}
	})
}

func (c *catalog) answer(w http.ResponseWriter, r *http.Request, visible func(repository string) bool) error {
	query := r.URL.Query()
	n, err := c.entries(query.Get("n"))
	if err != nil {
		return err
	}
	names, more, err := page(r.Context(), c.driver, n, query.Get("last"), visible)
	if err != nil {
		c.gate.log.WithContext(r.Context()).WithError(err).Error("cannot list repositories")
		return errcode.ErrorCodeUnknown.WithDetail(err)
	}
	w.Header().Set("Content-Type", "application/json")
	if more {
		following := *r.URL
		following.Fragment = ""
		following.RawQuery = url.Values{"n": {strconv.Itoa(n)}, "last": {names[n-1]}}.Encode()
		w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, &following))
	}
	_ = json.NewEncoder(w).Encode(map[string][]string{"repositories": names})
	return nil
}

// entries is how many repositories a client asks for.
func (c *catalog) entries(n string) (int, error) {
	if n == "" {
		return min(defaultEntries, c.max), nil
	}
	wanted, err := strconv.Atoi(n)
	if err != nil || wanted < 0 {
		return 0, errcode.ErrorCodePaginationNumberInvalid.WithDetail(map[string]string{"n": n})
	}
	if wanted > c.max {
		return 0, errcode.ErrorCodePaginationNumberInvalid.WithDetail(map[string]int{"n": wanted})
	}
	return wanted, nil
}

// page is the names of the first n repositories after last that are visible, and whether there are more. A
// storage that has never been written to has none.
func page(ctx context.Context, driver storagedriver.StorageDriver, n int, last string, visible func(string) bool) ([]string, bool, error) {
	names, more := make([]string, 0, n), false
	if n == 0 {
		return names, false, nil
	}
	err := walkRepositories(ctx, driver, last, func(name string) error {
		switch {
		case !visible(name):
			return nil
		case len(names) == n:
			more = true
			return storagedriver.ErrFilledBuffer
		}
		names = append(names, name)
		return nil
	})
	if errors.As(err, new(storagedriver.PathNotFoundError)) {
		err = nil
	}
	return names, more, err
}

// walkRepositories calls found with the name of each repository after last, until found returns an error.
func walkRepositories(ctx context.Context, driver storagedriver.StorageDriver, last string, found func(string) error) error {
	after := ""
	if last != "" {
		after = path.Join(repositoriesRoot, last, manifestsDir)
	}
	ended := error(nil) // some drivers go on after an error
	return driver.Walk(ctx, repositoriesRoot, func(info storagedriver.FileInfo) error {
		if ended != nil || !info.IsDir() {
			return ended
		}
		dir, file := path.Split(strings.TrimPrefix(info.Path(), repositoriesRoot+"/"))
		name := strings.TrimSuffix(dir, "/")
		if file == manifestsDir && name != last {
			ended = found(name)
		}
		if ended == nil && strings.Contains("/"+dir+file, "/_") {
			return storagedriver.ErrSkipDir
		}
		return ended
	}, storagedriver.WithStartAfterHint(after))
}

// prepareCatalog reads the names in the directory of repositories in the background, which the driver then
// remembers as long as none is added: of 100,000 in one directory that takes longer than an answer should.
// Other drivers remember nothing.
func (g *generation) prepareCatalog() {
	if g.app.driver.Name() == filesystem.Name {
		go func() { _, _ = g.app.driver.List(context.Background(), repositoriesRoot) }() // whoever asks sees the error
	}
}
