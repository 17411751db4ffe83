package relations

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/juju"
)

// A hook with nothing to do may call so many hook tools, and so many more for each relation.
const (
	toolsOfHook     = 12
	toolsOfRelation = 4
)

// TestQuietHookWithAllRelations holds that a hook which finds all as it should be touches nothing, also
// where all relations are there.
func TestQuietHookWithAllRelations(t *testing.T) {
	s := newSite(t, 2, native())
	all := neighbours()
	for _, n := range all {
		n.join(s)
	}
	s.inEffect(all...)
	before := s.look()
	for _, u := range s.app.Units() {
		files, hooks := s.tree(u), len(u.Hooks())
		s.update(u)
		if diff := cmp.Diff(files, s.tree(u)); diff != "" {
			t.Errorf("%s wrote files (-before +after):\n%s", u.Name(), diff)
		}
		ran := u.Hooks()[hooks:]
		if len(ran) != 1 {
			t.Fatalf("hooks of %s: %v", u.Name(), ran)
		}
		s.wantQuiet(ran[0], len(all))
	}
	s.wantSame(before)
}

// wantQuiet wants a hook to have changed and told nothing.
func (s *site) wantQuiet(hook *juju.Hook, relations int) {
	s.t.Helper()
	s.t.Logf("%s: %v", hook, hook.Tools)
	if most := toolsOfHook + toolsOfRelation*relations; len(hook.Tools) > most {
		s.t.Errorf("%d hook tools for %d relations, want at most %d", len(hook.Tools), relations, most)
	}
	for _, tool := range []string{"relation-set", "status-set", "open-port", "close-port", "state-set", "leader-set"} {
		if slices.Contains(hook.Tools, tool) {
			s.t.Errorf("%s was called: %v", tool, hook.Tools)
		}
	}
	for _, line := range hook.Log {
		if line.Level != "DEBUG" && line.Level != "TRACE" {
			s.t.Errorf("logged: %s %s", line.Level, line.Message)
		}
	}
}

// tree lists every file that the unit may write, with all that a write would change.
func (s *site) tree(u *juju.Unit) string {
	s.t.Helper()
	args := append(places(), "-printf", `%p %i %s %m %U %T@ %C@\n`)
	out, err := u.Machine().Command(s.ctx, "find", args...).Output()
	s.must(err)
	return string(out)
}
