package registryd

import (
	"fmt"
	"net/http"

	"github.com/distribution/distribution/v3/configuration"

	"docker-registry-operator/internal/registryd/filesystem"
	"docker-registry-operator/internal/registryd/serve"
)

// defaultRoot is where the filesystem driver keeps everything if no directory is configured.
const defaultRoot = "/var/lib/registry"

// pulls puts before the application what answers pulls in its place, if the configuration lets it.
func (g *generation) pulls(manifests *serve.Manifests, next http.Handler) http.Handler {
	if !plainStorage(g.Configuration) {
		return next
	}
	root := defaultRoot
	if directory, ok := g.Storage.Parameters()["rootdirectory"]; ok {
		root = fmt.Sprint(directory)
	}
	return serve.New(serve.Options{
		Root: root, Prefix: g.HTTP.Prefix, Manifests: manifests, Log: g.logger, Next: next,
		Admit: func(w http.ResponseWriter, r *http.Request, repository string) (string, bool) {
			return g.gate.Admit(w, r, access(http.MethodGet, repository)...)
		},
	})
}

// plainStorage reports whether a pull is nothing but what stands in a directory: no upstream is asked, no middleware
// changes the answer, and nobody is notified.
func plainStorage(conf *configuration.Configuration) bool {
	for _, endpoint := range conf.Notifications.Endpoints {
		if !endpoint.Disabled {
			return false
		}
	}
	for _, middleware := range conf.Middleware {
		for _, m := range middleware {
			if !m.Disabled {
				return false
			}
		}
	}
	return conf.Storage.Type() == filesystem.Name && conf.Proxy.RemoteURL == ""
}
