package native

import (
	"testing"

	"docker-registry-operator/internal/desired"
)

func TestRepositories(t *testing.T) {
	s := newStage(t)
	want := func(config string, count desired.Count) {
		t.Helper()
		if got := s.Repositories(t.Context(), s.w.Unit, config); got != count {
			t.Errorf("got %+v, want %+v", got, count)
		}
	}
	want(s.w.Config, desired.Count{})
	s.configure("images=12\n")
	s.ensure("created")
	want(s.w.Config, desired.Count{Known: true, Repositories: 12})
	want("sha256:another", desired.Count{})
	s.w.Stopped = true
	s.ensure("stopped")
	want(s.w.Config, desired.Count{})
}

// TestWriting tells of pushes under way.
func TestWriting(t *testing.T) {
	s := newStage(t)
	want := func(writing bool) {
		t.Helper()
		outcome, err := s.Ensure(t.Context(), s.w)
		if err != nil || outcome.Writing != writing {
			t.Errorf("got %+v, %v, want %v", outcome, err, writing)
		}
	}
	want(false)
	s.configure("writes=1\n")
	want(true)
	want(true)
	s.configure("")
	want(false)
}
