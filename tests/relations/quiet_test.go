package relations

import (
	"slices"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/juju"
)

// A hook with nothing to do may call so many hook tools, and so many more for each relation.
const (
	toolsOfHook     = 12
	toolsOfRelation = 4
)

// wantQuiet has a hook run that finds all as it should be: it may touch and tell nothing, whatever
// relations there are.
func (s *site) wantQuiet(u *juju.Unit, relations int) {
	s.t.Helper()
	before, files, hooks := s.look(), s.tree(u), len(u.Hooks())
	s.update(u)
	if diff := cmp.Diff(files, s.tree(u)); diff != "" {
		s.t.Errorf("%s wrote files (-before +after):\n%s", u.Name(), diff)
	}
	s.wantSame(before)
	ran := u.Hooks()[hooks:]
	if len(ran) != 1 {
		s.t.Fatalf("hooks of %s: %v", u.Name(), ran)
	}
	hook := ran[0]
	s.t.Logf("%s: %s: %v", u.Name(), hook, hook.Tools)
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
