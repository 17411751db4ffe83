package registryd

import (
	"net/http"
	"strings"
	"sync"

	"github.com/distribution/distribution/v3/metrics"
	v2 "github.com/distribution/distribution/v3/registry/api/v2"
	gometrics "github.com/docker/go-metrics"
	"github.com/gorilla/mux"

	"docker-registry-operator/internal/registryd/serve"
)

// httpMetrics are the registry_http_* metrics by the name of the route. They are
// registered once a process, however many generations it sees.
var httpMetrics = sync.OnceValue(func() map[string][]*gometrics.HTTPMetric {
	byRoute := make(map[string][]*gometrics.HTTPMetric)
	for _, route := range []string{
		v2.RouteNameBase, v2.RouteNameManifest, v2.RouteNameCatalog, v2.RouteNameTags,
		v2.RouteNameBlob, v2.RouteNameBlobUpload, v2.RouteNameBlobUploadChunk,
	} {
		namespace := gometrics.NewNamespace(metrics.NamespacePrefix, "http", nil)
		byRoute[route] = namespace.NewDefaultHttpMetrics(strings.ReplaceAll(route, "-", "_"))
		gometrics.Register(namespace)
	}
	return byRoute
})

// instrument counts the requests that next answers, by route, as the stock registry does
// inside of its router.
func instrument(prefix string, next http.Handler) http.Handler {
	instrumented := make(map[string]http.Handler)
	for route, metric := range httpMetrics() {
		instrumented[route] = gometrics.InstrumentHandler(metric, next)
	}
	router := v2.RouterWithPrefix(prefix)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler, ok := instrumented[serve.RouteName(prefix, r.URL.Path)]; ok {
			handler.ServeHTTP(w, r)
			return
		}
		var match mux.RouteMatch
		if router.Match(r, &match) && match.Route != nil {
			if handler, ok := instrumented[match.Route.GetName()]; ok {
				handler.ServeHTTP(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
