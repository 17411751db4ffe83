package registryd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"log/slog"
	"net/http"
	"net/http/pprof"

	gometrics "github.com/docker/go-metrics"

	"docker-registry-operator/internal/registryd/listen"
)

// debugServer answers on the debug port, which has nothing to do with the port that
// clients use: no TLS, no access control, and cut off without ceremony.
type debugServer struct {
	socket *listen.Socket
	server *http.Server
	done   chan struct{}
}

func openDebug(ctx context.Context, addr string) (*listen.Socket, error) {
	if addr == "" {
		return nil, nil
	}
	return listen.Open(ctx, "tcp", addr)
}

func serveDebug(socket *listen.Socket, handler http.Handler, log *slog.Logger) *debugServer {
	d := &debugServer{
		socket: socket,
		server: &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelInfo)},
		done:   make(chan struct{}),
	}
	go func() {
		defer close(d.done)
		if err := d.server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			log.Error("debug server ended", "error", err)
		}
	}()
	return d
}

func (d *debugServer) close() error {
	err := d.server.Close()
	<-d.done
	return err
}

// debugHandler answers for the generation that is current at each request.
func (s *Server) debugHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.current.Load().debug.ServeHTTP(w, r)
	})
}

// debugMux answers as the stock registry does at its debug port: health, expvar, pprof
// and, if they are wanted, metrics.
func (g *generation) debugMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/health", g.serveHealth)
	mux.Handle("/debug/vars", expvar.Handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	metricsPath := cmp.Or(g.HTTP.Debug.Prometheus.Path, "/metrics")
	metrics := gometrics.Handler()
	enabled := g.HTTP.Debug.Prometheus.Enabled
	// Not a pattern of the mux: it would panic at a path such as "metrics" or "/{".
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if enabled && r.URL.Path == metricsPath {
			metrics.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// serveHealth answers with the checks that fail, and with 503 if there is one.
func (g *generation) serveHealth(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	failing := g.app.health.CheckStatus(r.Context())
	status := http.StatusOK
	if len(failing) != 0 {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, failing)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
