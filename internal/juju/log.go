package juju

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

// heldLimit bounds how many bytes of debug lines are kept for a later warning.
const heldLimit = 32 << 10

// Log is a [slog.Handler] that writes to the unit's log with juju-log. A call of
// juju-log costs 10 ms, so debug lines are held back: they are written, in one
// call, before a warning or an error, and dropped if there is none.
type Log struct {
	sink *sink
	// text renders a record's attributes into sink.line.
	text slog.Handler
}

type sink struct {
	mu   sync.Mutex
	line bytes.Buffer
	held strings.Builder
}

var _ slog.Handler = (*Log)(nil)

// NewLog is a handler for one hook.
func NewLog() *Log {
	target := &sink{}
	return &Log{sink: target, text: slog.NewTextHandler(&target.line, &slog.HandlerOptions{
		Level:       slog.LevelDebug,
		ReplaceAttr: attributesOnly,
	})}
}

// attributesOnly leaves out what juju-log adds itself.
func attributesOnly(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return attr
	}
	switch attr.Key {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey:
		return slog.Attr{}
	}
	return attr
}

// Enabled says that a level is worth a record: debug and above are.
func (l *Log) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelDebug
}

// Handle writes a record, or holds it back if its level is below info.
func (l *Log) Handle(ctx context.Context, record slog.Record) error {
	s := l.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.Reset()
	s.line.WriteString(record.Message + " ")
	if err := l.text.Handle(ctx, record); err != nil {
		return err
	}
	line := strings.TrimSpace(s.line.String())
	if record.Level < slog.LevelInfo {
		if s.held.Len()+len(line) < heldLimit {
			s.held.WriteString(line + "\n")
		}
		return nil
	}
	// A hook that runs out of time must still be able to say so.
	ctx = context.WithoutCancel(ctx)
	if record.Level >= slog.LevelWarn && s.held.Len() > 0 {
		held := strings.TrimSpace(s.held.String())
		s.held.Reset()
		if err := tell(ctx, "juju-log", "-l", "DEBUG", "--", held); err != nil {
			return err
		}
	}
	return tell(ctx, "juju-log", "-l", level(record.Level), "--", argument(line))
}

// WithAttrs is a handler that adds attrs to every record.
func (l *Log) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Log{sink: l.sink, text: l.text.WithAttrs(attrs)}
}

// WithGroup is a handler that puts what follows into a group.
func (l *Log) WithGroup(name string) slog.Handler {
	return &Log{sink: l.sink, text: l.text.WithGroup(name)}
}

// level is a slog level by Juju's name.
func level(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "ERROR"
	case level >= slog.LevelWarn:
		return "WARNING"
	}
	return "INFO"
}
