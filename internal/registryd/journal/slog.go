package journal

import (
	"context"
	"log/slog"
	"slices"

	"github.com/sirupsen/logrus"
)

// Slog returns a logger of the standard library that writes through whatever current
// returns at the time of each line, so that it follows a reload.
func Slog(current func() *logrus.Entry) *slog.Logger {
	return slog.New(bridge{current: current})
}

type bridge struct {
	current func() *logrus.Entry
	attrs   []slog.Attr
	group   string
}

func (b bridge) Enabled(_ context.Context, level slog.Level) bool {
	return b.current().Logger.IsLevelEnabled(toLogrus(level))
}

func (b bridge) Handle(_ context.Context, record slog.Record) error {
	fields := make(logrus.Fields, len(b.attrs)+record.NumAttrs())
	for _, attr := range b.attrs {
		fields[attr.Key] = attr.Value.Resolve().Any()
	}
	record.Attrs(func(attr slog.Attr) bool {
		fields[b.group+attr.Key] = attr.Value.Resolve().Any()
		return true
	})
	b.current().WithTime(record.Time).WithFields(fields).Log(toLogrus(record.Level), record.Message)
	return nil
}

func (b bridge) WithAttrs(attrs []slog.Attr) slog.Handler {
	b.attrs = slices.Clone(b.attrs)
	for _, attr := range attrs {
		b.attrs = append(b.attrs, slog.Attr{Key: b.group + attr.Key, Value: attr.Value})
	}
	return b
}

func (b bridge) WithGroup(name string) slog.Handler {
	if name != "" {
		b.group += name + "."
	}
	return b
}

func toLogrus(level slog.Level) logrus.Level {
	switch {
	case level < slog.LevelInfo:
		return logrus.DebugLevel
	case level < slog.LevelWarn:
		return logrus.InfoLevel
	case level < slog.LevelError:
		return logrus.WarnLevel
	default:
		return logrus.ErrorLevel
	}
}
