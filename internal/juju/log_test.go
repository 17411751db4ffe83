package juju

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLog(t *testing.T) {
	begin(t, world{})
	log := slog.New(NewLog())
	log.Debug("file kept", "path", "/a")
	log.Info("container recreated", "reason", "port changed")
	log.WithGroup("engine").With("api", 1.41).Debug("engine asked")
	if got := now(t).Log; !cmp.Equal(got, []string{`INFO container recreated reason="port changed"`}) {
		t.Errorf("before a warning: %q", got)
	}
	log.Warn("engine slow", "error", errors.New("timeout"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	log.ErrorContext(ended, "hook failed")
	want := []string{
		`INFO container recreated reason="port changed"`,
		"DEBUG file kept path=/a\nengine asked engine.api=1.41",
		`WARNING engine slow error=timeout`,
		`ERROR hook failed`,
	}
	if diff := cmp.Diff(want, now(t).Log); diff != "" {
		t.Error(diff)
	}
}

// TestLogQuiet holds that a hook that has nothing to tell calls no juju-log.
func TestLogQuiet(t *testing.T) {
	begin(t, world{})
	log := slog.New(NewLog())
	for range 10000 {
		log.Debug("nothing to do", "why", "all is as it should be")
	}
	if calls := now(t).Calls; len(calls) > 0 {
		t.Errorf("called %q", calls)
	}
	log.Error("failed")
	if got := len(now(t).Log[0]); got > heldLimit+len("DEBUG ") {
		t.Errorf("%d bytes of debug lines, want at most %d", got, heldLimit)
	}
}
