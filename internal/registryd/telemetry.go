package registryd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/distribution/distribution/v3/tracing"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
)

// traced wraps handler in the tracing of the stock registry if the environment asks for
// it. Unlike there nothing is traced otherwise: the stock registry sends spans to a
// collector on the local host, and writes each to its log, when nobody said so.
//
// Tracing belongs to the process, and its settings to the environment: neither changes
// with a reload.
func traced(ctx context.Context, handler http.Handler) (http.Handler, error) {
	if !tracingWanted(os.Getenv) {
		return handler, nil
	}
	if err := tracing.InitOpenTelemetry(ctx); err != nil {
		return nil, fmt.Errorf("cannot start tracing: %w", err)
	}
	name := func(_ string, r *http.Request) string { return r.Method + " " + r.URL.Path }
	return otelhttp.NewHandler(handler, "", otelhttp.WithSpanNameFormatter(name)), nil
}

func tracingWanted(getenv func(string) string) bool {
	if getenv("OTEL_SDK_DISABLED") == "true" || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	for _, name := range []string{
		"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
	} {
		if getenv(name) != "" {
			return true
		}
	}
	return false
}

// flushTraces sends what tracing has collected, if there is any tracing.
func flushTraces(ctx context.Context) error {
	provider, ok := otel.GetTracerProvider().(interface{ Shutdown(context.Context) error })
	if !ok {
		return nil
	}
	if err := provider.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("cannot send the last traces: %w", err)
	}
	return nil
}
