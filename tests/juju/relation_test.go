package juju_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/juju"
)

func TestLeadershipAndPeers(t *testing.T) {
	w := newWorld(t, 2)
	app := w.deploy(juju.Options{Config: map[string]string{"text": "first"}})
	check(t, app.WaitIdle(w.ctx))
	one, two := app.Units()[0], app.Units()[1]
	same(t, "leader", app.Leader().Name(), "tiny/0")
	if first := names(two, 0)[:3]; !cmp.Equal(first, []string{"install", "peer-relation-created", "leader-settings-changed"}) {
		t.Errorf("first hooks of a follower: %q", first)
	}
	same(t, "leader-get of a follower", w.read(two, "/var/lib/tiny-leader"), "first")
	peer := app.Relation("peer")
	for _, u := range app.Units() {
		same(t, "databag", peer.Get(u.Name()), map[string]string{
			"ingress-address": u.Machine().Address(), "private-address": u.Machine().Address(),
			"egress-subnets": u.Machine().Address() + "/32", "unit": u.Name(),
		})
	}

	ones, twos := len(one.Hooks()), len(two.Hooks())
	app.SetLeader(two)
	check(t, app.WaitIdle(w.ctx))
	same(t, "leader", app.Leader().Name(), "tiny/1")
	same(t, "hooks of the new leader", names(two, twos), []string{"leader-elected"})
	same(t, "hooks of the old leader", names(one, ones), []string{"leader-settings-changed"})

	ones = len(one.Hooks())
	two.Remove()
	check(t, two.WaitGone(w.ctx))
	check(t, app.WaitIdle(w.ctx))
	same(t, "leader", app.Leader().Name(), "tiny/0")
	stayed := names(one, ones)
	slices.Sort(stayed)
	same(t, "hooks of who stays", stayed, []string{"leader-elected", "peer-relation-departed"})
}

func TestRelation(t *testing.T) {
	w := newWorld(t, 1)
	app := w.deploy(juju.Options{})
	u := app.Units()[0]
	steps := []struct {
		name  string
		do    func(r *juju.Relation) error
		hooks []string
	}{
		{"no unit yet", func(*juju.Relation) error { return nil }, []string{"website-relation-created"}},
		{
			"a unit joins",
			func(r *juju.Relation) error { return r.Set("proxy/0", map[string]string{"hostname": "p0"}) },
			[]string{"website-relation-joined", "website-relation-changed"},
		},
		{
			"it tells more",
			func(r *juju.Relation) error { return r.Set("proxy/0", map[string]string{"hostname": "", "port": "80"}) },
			[]string{"website-relation-changed"},
		},
		{
			"its application tells",
			func(r *juju.Relation) error { return r.Set("proxy", map[string]string{"ca": "x"}) },
			[]string{"website-relation-changed"},
		},
		{
			"it departs",
			func(r *juju.Relation) error { r.Depart("proxy/0"); return nil },
			[]string{"website-relation-departed"},
		},
		{
			"the relation ends",
			func(r *juju.Relation) error { r.Remove(); return nil },
			[]string{"website-relation-broken"},
		},
	}
	relation, err := app.Relate("website", "proxy")
	check(t, err)
	before := len(u.Hooks())
	for _, step := range steps {
		check(t, step.do(relation))
		check(t, app.WaitIdle(w.ctx))
		same(t, "hooks when "+step.name, names(u, before), step.hooks)
		before = len(u.Hooks())
		switch step.name {
		case "a unit joins":
			same(t, "relation-get", w.read(u, "/var/lib/tiny-relation"), "hostname: p0")
			same(t, "unit databag", relation.Get("tiny/0")["port"], "5000")
			same(t, "units", relation.Units(), map[string]map[string]string{"tiny/0": relation.Get("tiny/0")})
			same(t, "application databag", relation.Get("tiny"), map[string]string{"application": "yes"})
		case "it tells more":
			same(t, "relation-get", w.read(u, "/var/lib/tiny-relation"), `port: "80"`)
		case "its application tells":
			same(t, "relation-get", w.read(u, "/var/lib/tiny-relation"), "ca: x")
		}
	}
	if left := relation.Units(); len(left) > 0 {
		t.Errorf("left in a relation that ended: %v", left)
	}
	if app.Relation("website") != nil {
		t.Error("a relation that ended is still there")
	}
	if err := relation.Set("other/0", nil); err == nil {
		t.Error("a stranger told something over the relation")
	}
}

// TestRemovalOfARelatedUnit holds the order in which Juju has a unit go: its peers learn of it last.
func TestRemovalOfARelatedUnit(t *testing.T) {
	w := newWorld(t, 2)
	app := w.deploy(juju.Options{})
	relation, err := app.Relate("website", "proxy")
	check(t, err)
	check(t, relation.Set("proxy/0", map[string]string{"hostname": "p0"}))
	check(t, app.WaitIdle(w.ctx))
	goes, stays := app.Units()[0], app.Units()[1]
	went, stayed := len(goes.Hooks()), len(stays.Hooks())
	goes.Remove()
	check(t, goes.WaitGone(w.ctx))
	check(t, app.WaitIdle(w.ctx))
	hooks := names(goes, went)
	last := len(hooks) - 2
	same(t, "last hooks of who goes", hooks[last:], []string{"stop", "remove"})
	slices.Sort(hooks[:last])
	same(t, "first hooks of who goes", hooks[:last], []string{
		"peer-relation-departed", "website-relation-broken", "website-relation-departed",
	})
	for _, hook := range stays.Hooks()[stayed:] {
		if hook.Start.Before(goes.Hooks()[len(goes.Hooks())-1].Start) {
			t.Errorf("who stays ran %s before the other was gone", hook)
		}
	}
	same(t, "who is left in the relation", len(relation.Units()), 1)
}

func TestContainerScope(t *testing.T) {
	w := newWorld(t, 2)
	app := w.deploy(juju.Options{})
	relation, err := app.Relate("local", "subordinate")
	check(t, err)
	check(t, relation.Set("subordinate/1", map[string]string{"a": "b"}))
	check(t, app.WaitIdle(w.ctx))
	for _, u := range app.Units() {
		joined := false
		for _, name := range names(u, 0) {
			joined = joined || name == "local-relation-joined"
		}
		same(t, u.Name()+" saw subordinate/1", joined, u.Name() == "tiny/1")
	}
}
