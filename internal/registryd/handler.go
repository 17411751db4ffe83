package registryd

import (
	"expvar"
	"io"
	"net/http"

	"github.com/distribution/distribution/v3/registry/api/errcode"

	rights "docker-registry-operator/internal/registryd/access"
	"docker-registry-operator/internal/registryd/accesslog"
	"docker-registry-operator/internal/registryd/journal"
	"docker-registry-operator/internal/registryd/limit"
	"docker-registry-operator/internal/registryd/serve"
)

// chain wraps the application in the same layers as the stock registry: access log,
// recovery, health, and an answer at / that shows that the server is up, and in the limits
// that hold for every request.
func (g *generation) chain(accessLog io.Writer, manifests *serve.Manifests) http.Handler {
	var handler http.Handler = g.app
	if g.upstream == nil { // which has an eye on the same
		handler = begunOnce(handler)
	}
	handler = acknowledged(handler)
	if g.rights != nil {
		handler = rights.Corrected(handler)
	}
	handler = newCatalog(g).serve(handler)
	handler = g.pulls(manifests, g.oci.Serve(handler))
	if g.upstream != nil {
		handler = g.upstream.Serve(handler)
	}
	if g.HTTP.Debug.Addr != "" && g.HTTP.Debug.Prometheus.Enabled {
		handler = instrument(g.HTTP.Prefix, handler)
	}
	if g.rights != nil {
		handler = g.rights.Tokens(handler)
	}
	handler = limit.Paths(limit.Bodies(handler))
	handler = alive(handler)
	handler = g.healthy(handler)
	handler = g.recovered(handler)
	handler = g.logged(handler)
	if !g.Log.AccessLog.Disabled {
		handler = accesslog.Handler(accessLog, handler)
	}
	return handler
}

func alive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		w.WriteHeader(http.StatusOK)
	})
}

func (g *generation) healthy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(g.app.health.CheckStatus(r.Context())) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		unavailable := errcode.ErrorCodeUnavailable.WithDetail("health check failed: please see /debug/health")
		if err := errcode.ServeJSON(w, unavailable); err != nil {
			g.logger.WithError(err).Debug("error serving error json")
		}
	})
}

// recovered logs a panic, which also reaches the log hooks of the configuration, and
// breaks the connection off.
func (g *generation) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause != http.ErrAbortHandler {
				g.logPanic(cause)
			}
			panic(http.ErrAbortHandler)
		}()
		next.ServeHTTP(w, r)
	})
}

// logPanic logs at the level that log hooks wait for; logrus panics itself at that level.
func (g *generation) logPanic(cause any) {
	defer func() { _ = recover() }() // the panic is the one that was just logged
	g.logger.Panicf("%v", cause)
}

// logged gives each request the logger of its generation.
func (g *generation) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(journal.WithLogger(r.Context(), g.logger)))
	})
}

// hideSecrets removes what distribution publishes of its configuration at /debug/vars: a
// function that prints all of it, with the password of Redis and http.secret, and that
// keeps the application from being freed.
func hideSecrets() {
	if published, ok := expvar.Get("registry").(*expvar.Map); ok {
		published.Delete("redis")
	}
}
