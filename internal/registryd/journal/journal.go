// Package journal writes the log of the registry: one stream for distribution's own
// lines, which go through logrus, and for the server's, which go through log/slog. Each
// generation of the server gets a logger of its own, so that a reload can change level,
// format and fields without touching what still runs. It opens no file.
package journal

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"reflect"
	"runtime"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/sirupsen/logrus"
)

// loggerKeyType is how distribution calls the key under which it looks for the logger in
// a context. The type is in an internal package, so it can only be told by its name.
const (
	loggerKeyType    = "loggerKey"
	loggerKeyPackage = "github.com/distribution/distribution/v3/internal/dcontext"
	instanceKey      = "instance.id"
)

// Journal is a stream of log lines. It may be used by several goroutines.
type Journal struct {
	out      *lockedWriter
	instance string
}

type lockedWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

// New returns a Journal that writes to out, one call of Write for each line.
func New(out io.Writer) *Journal {
	return &Journal{out: &lockedWriter{out: out}, instance: rand.Text()}
}

// Out is where the lines go. Writes to it do not mix with lines of the log.
func (j *Journal) Out() io.Writer { return j.out }

// Logger returns a logger as conf wants it. Unlike the stock registry it writes JSON
// when no format is set; an unknown level is taken as "info", as there.
func (j *Journal) Logger(conf configuration.Log) (*logrus.Entry, error) {
	format, err := formatter(conf.Formatter)
	if err != nil {
		return nil, err
	}
	level, err := logrus.ParseLevel(string(conf.Level))
	if err != nil {
		level = logrus.InfoLevel
	}
	logger := &logrus.Logger{
		Out:          j.out,
		Formatter:    format,
		Hooks:        make(logrus.LevelHooks),
		Level:        level,
		ReportCaller: conf.ReportCaller,
	}
	fields := logrus.Fields{"go.version": runtime.Version(), instanceKey: j.instance}
	maps.Copy(fields, conf.Fields)
	return logger.WithFields(fields), nil
}

func formatter(name string) (logrus.Formatter, error) {
	switch name {
	case "", "json":
		return &logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano, DisableHTMLEscape: true}, nil
	case "text":
		return &logrus.TextFormatter{TimestampFormat: time.RFC3339Nano}, nil
	case "logstash":
		return &logrus.JSONFormatter{
			TimestampFormat: time.RFC3339Nano,
			FieldMap:        logrus.FieldMap{logrus.FieldKeyFunc: "function"},
		}, nil
	default:
		return nil, fmt.Errorf("unsupported logging formatter: %q", name)
	}
}

// Adopt makes logger the one that distribution uses where it has no context at hand: in
// its notification queues, the purge of uploads and the proxy.
func Adopt(logger *logrus.Entry) {
	std := logrus.StandardLogger()
	std.SetOutput(logger.Logger.Out)
	std.SetFormatter(logger.Logger.Formatter)
	std.SetLevel(logger.Logger.GetLevel())
	std.SetReportCaller(logger.Logger.ReportCaller)
	std.ReplaceHooks(logger.Logger.Hooks)
}

// WithLogger returns a context in which distribution finds logger. distribution has no
// public way to set it, and its own default is one for the whole process.
func WithLogger(ctx context.Context, logger *logrus.Entry) context.Context {
	return loggerContext{Context: ctx, logger: logger}
}

type loggerContext struct {
	context.Context
	logger *logrus.Entry
}

// Value answers with the logger and its fields, and leaves the rest to the parent.
func (c loggerContext) Value(key any) any {
	if name, ok := key.(string); ok {
		if value, ok := c.logger.Data[name]; ok {
			return value
		}
		return c.Context.Value(key)
	}
	if t := reflect.TypeOf(key); t != nil && t.Name() == loggerKeyType && t.PkgPath() == loggerKeyPackage {
		return c.logger
	}
	return c.Context.Value(key)
}
