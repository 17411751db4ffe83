package relations

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"docker-registry-operator/tests/juju"
)

// TestEachRelation makes, changes, breaks and makes again each relation, with one, two and three units,
// and with another leader in between: afterwards the units are as if it had never been there.
func TestEachRelation(t *testing.T) {
	for units := 1; units <= 3; units++ {
		t.Run(fmt.Sprintf("%d units", units), func(t *testing.T) {
			s := newSite(t, units, native())
			before := s.look()
			for _, n := range neighbours() {
				t.Run(n.name, func(t *testing.T) { s.part(t).roundTrip(n, before) })
			}
		})
	}
}

// TestAllRelations has all relations there together, on two units without an engine and on one with.
func TestAllRelations(t *testing.T) {
	t.Run("native", func(t *testing.T) { newSite(t, 2, native()).together() })
	t.Run("engine", func(t *testing.T) { newSite(t, 1, nil).together() })
}

// roundTrip takes a relation through its life.
func (s *site) roundTrip(n neighbour, before map[string]snapshot) {
	s.t.Helper()
	n.join(s)
	s.inEffect(n)
	n.change(s)
	s.inEffect(n)
	s.moveLeader()
	s.inEffect(n)
	n.part(s)
	s.wantSame(before)
	n.join(s)
	s.inEffect(n)
	n.part(s)
	s.wantSame(before)
}

// together makes all relations, changes them, and breaks them. In between hooks run that have nothing to
// do.
func (s *site) together() {
	s.t.Helper()
	before, all := s.look(), neighbours()
	for _, n := range all {
		n.join(s)
	}
	s.inEffect(all...)
	for _, u := range s.app.Units() {
		s.wantQuiet(u, len(all))
	}
	for _, n := range all {
		n.change(s)
	}
	s.moveLeader()
	s.inEffect(all...)
	for _, n := range all {
		n.part(s)
	}
	s.wantSame(before)
}

func (s *site) inEffect(present ...neighbour) {
	s.t.Helper()
	for _, u := range s.app.Units() {
		for _, n := range present {
			n.inEffect(s, u)
		}
	}
}

// moveLeader has the unit after the leader lead, if there is one, and then each unit look at how things
// are, as update-status has it do every few minutes. The new leader runs a hook for it some time after
// its agent knows, but the old one only if leader settings have changed since it last heard of them.
func (s *site) moveLeader() {
	s.t.Helper()
	units := s.app.Units()
	if len(units) == 1 {
		return
	}
	next := units[(slices.Index(units, s.app.Leader())+1)%len(units)]
	before := len(next.Hooks())
	s.app.SetLeader(next)
	for !slices.ContainsFunc(next.Hooks()[before:], func(h *juju.Hook) bool { return h.Name == "leader-elected" }) {
		s.must(s.ctx.Err())
		time.Sleep(10 * time.Millisecond)
	}
	for _, u := range units {
		u.UpdateStatus()
	}
	s.settle()
}

// TestPairsOfRelations makes each two relations in each order, and breaks them in each order.
func TestPairsOfRelations(t *testing.T) {
	for _, first := range neighbours() {
		t.Run(first.name, func(t *testing.T) {
			s := newSite(t, 1, native())
			before := s.look()
			for _, second := range neighbours() {
				if second.name != first.name {
					t.Run(second.name, func(t *testing.T) { s.part(t).cross(first, second, before) })
				}
			}
			s.nest(first, before)
		})
	}
}

// cross breaks the relation that was made first while the other one is there.
func (s *site) cross(first, second neighbour, before map[string]snapshot) {
	s.t.Helper()
	first.join(s)
	second.join(s)
	s.inEffect(first, second)
	first.part(s)
	s.inEffect(second)
	second.part(s)
	s.wantSame(before)
}

// nest makes and breaks each of the other relations while the first one is there.
func (s *site) nest(first neighbour, before map[string]snapshot) {
	s.t.Helper()
	first.join(s)
	for _, second := range neighbours() {
		if second.name != first.name {
			second.join(s)
			s.inEffect(first, second)
			second.part(s)
			s.inEffect(first)
		}
	}
	first.part(s)
	s.wantSame(before)
}
