package proxy_test

import (
	"testing"
)

const (
	// crowd is how many clients pull at a time, calm how many images pass before and after a change.
	crowd, calm = 24, 300

	// imageCount is how many images they pull.
	imageCount = 20
)

// TestUnits adds units to an application behind the proxy, moves leadership and removes units, each time
// the one that serves all clients, while clients pull: no request may fail.
func TestUnits(t *testing.T) {
	s := newSite(t)
	s.deploy(1, nil)
	images := makeImages(t, imageCount)
	first := s.app.Units()[0]
	s.push(first, images)
	s.settle(first, "docker-registry-0")
	pulls := s.pull(crowd, images)
	pulls.await(s, calm)

	for _, names := range [][]string{
		{"docker-registry-0", "(docker-registry-1)"},
		{"docker-registry-0", "(docker-registry-1)", "(docker-registry-2)"},
	} {
		added, err := s.app.AddUnit(s.ctx, s.machine("added"), nil)
		check(t, err)
		s.settle(first, names...)
		s.push(added, images)
		pulls.await(s, calm)
		pulls.wantNoFailure(s)
	}

	second, third := s.app.Units()[1], s.app.Units()[2]
	for range 2 {
		for _, leader := range []int{1, 2, 0} {
			unit := s.app.Units()[leader]
			s.app.SetLeader(unit)
			s.settle(unit, "docker-registry-0", "(docker-registry-1)", "(docker-registry-2)")
		}
		pulls.await(s, calm)
	}
	pulls.wantNoFailure(s)

	// The first unit serves and leads, so nobody is left to tell the proxy before it is gone.
	first.Remove()
	check(t, first.WaitGone(s.ctx))
	s.settle(second, "docker-registry-1", "(docker-registry-2)")
	pulls.await(s, calm)
	pulls.wantNoFailure(s)

	// The second one serves, the third leads.
	s.app.SetLeader(third)
	s.settle(third, "docker-registry-1", "(docker-registry-2)")
	second.Remove()
	check(t, second.WaitGone(s.ctx))
	s.settle(third, "docker-registry-2")
	pulls.await(s, calm)
	pulls.end()
	pulls.wantNoFailure(s)
}
