package docker

import (
	"testing"

	"docker-registry-operator/internal/desired"
)

func TestRepositories(t *testing.T) {
	onEngines(t, func(t *testing.T, s *stage) {
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
	})
}
