package juju

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/relation"
)

// neighbours is a unit that is related to one proxy, and to a provider without units.
func neighbours() world {
	return world{
		Peer:      "peer:0",
		Relations: map[string][]string{"website": {"website:10", "website:9"}, "cert-provider": {"cert-provider:3"}},
		Units:     map[string][]string{"website:9": {"haproxy/10", "haproxy/9"}},
		Bags: map[string]map[string]string{
			"website:9 docker-registry/0":       {"port": "5000"},
			"website:9 haproxy/9":               {"ingress-address": "10.0.0.9"},
			"website:9 haproxy/10":              {"ingress-address": "10.0.0.10"},
			"website:10 docker-registry/0":      {},
			"cert-provider:3 docker-registry/0": {"unit_name": "docker-registry_0"},
			"cert-provider:3 easyrsa":           {"certificates": "[]"},
		},
		Applications: map[string]string{"cert-provider:3": "easyrsa"},
	}
}

func TestRelations(t *testing.T) {
	all := relation.Parts{Own: true, App: true, Units: true}
	for _, test := range []struct {
		name, endpoint string
		parts          relation.Parts
		environment    map[string]string
		want           []relation.Relation
		calls          int
	}{
		{"none", "docker-registry", all, nil, nil, 1},
		{"units", "website", relation.Parts{Own: true, Units: true}, nil, []relation.Relation{
			{ID: "website:9", Own: relation.Bag{"port": "5000"}, Units: map[string]relation.Bag{
				"haproxy/9": {"ingress-address": "10.0.0.9"}, "haproxy/10": {"ingress-address": "10.0.0.10"},
			}},
			{ID: "website:10", Own: relation.Bag{}, Units: map[string]relation.Bag{}},
		}, 7},
		{"own only", "website", relation.Parts{Own: true, Event: true}, map[string]string{
			"JUJU_RELATION_ID": "cert-provider:3", "JUJU_REMOTE_UNIT": "easyrsa/0",
		}, []relation.Relation{
			{ID: "website:9", Own: relation.Bag{"port": "5000"}, Units: map[string]relation.Bag{}},
			{ID: "website:10", Own: relation.Bag{}, Units: map[string]relation.Bag{}},
		}, 3},
		{"the unit that the hook is about", "website", relation.Parts{Event: true}, map[string]string{
			"JUJU_RELATION_ID": "website:9", "JUJU_REMOTE_UNIT": "haproxy/9",
		}, []relation.Relation{
			{ID: "website:9", Units: map[string]relation.Bag{"haproxy/9": {"ingress-address": "10.0.0.9"}}},
			{ID: "website:10", Units: map[string]relation.Bag{}},
		}, 2},
		{"one that departs", "website", relation.Parts{Event: true}, map[string]string{
			"JUJU_RELATION_ID": "website:9", "JUJU_REMOTE_UNIT": "haproxy/9", "JUJU_DEPARTING_UNIT": "haproxy/9",
		}, []relation.Relation{
			{ID: "website:9", Units: map[string]relation.Bag{}}, {ID: "website:10", Units: map[string]relation.Bag{}},
		}, 1},
		{"an application without units", "cert-provider", all, nil, []relation.Relation{{
			ID: "cert-provider:3", Application: "easyrsa", Own: relation.Bag{"unit_name": "docker-registry_0"},
			App: relation.Bag{"certificates": "[]"}, Units: map[string]relation.Bag{},
		}}, 5},
		{"the end of one", "website", relation.Parts{}, map[string]string{
			"JUJU_DISPATCH_PATH": "hooks/website-relation-broken", "JUJU_RELATION_ID": "website:9",
		}, []relation.Relation{{ID: "website:10", Units: map[string]relation.Bag{}}}, 1},
		{"the end of another", "cert-provider", relation.Parts{}, map[string]string{
			"JUJU_DISPATCH_PATH": "hooks/website-relation-broken", "JUJU_RELATION_ID": "website:9",
		}, []relation.Relation{{ID: "cert-provider:3", Units: map[string]relation.Bag{}}}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t, neighbours())
			for name, value := range test.environment {
				t.Setenv(name, value)
			}
			u := unit(t)
			got, err := u.Relations(t.Context(), test.endpoint, test.parts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if calls := now(t).Calls; len(calls) != test.calls {
				t.Errorf("%d calls, want %d: %q", len(calls), test.calls, calls)
			}
			if _, err := u.Relations(t.Context(), test.endpoint, relation.Parts{}); err != nil || len(now(t).Calls) != test.calls {
				t.Errorf("IDs are asked for again: %q, %v", now(t).Calls, err)
			}
		})
	}
}

func TestPublish(t *testing.T) {
	begin(t, neighbours())
	u := unit(t)
	if err := u.Publish(t.Context(), "website:9", map[string]string{"port": "", "services": "- a: s3cret\n"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"port": "", "services": "- a: s3cret\n"}, now(t).Bags["website:9 docker-registry/0"]); diff != "" {
		t.Error(diff)
	}
	if calls := now(t).Calls; !slices.Equal(calls, []string{"relation-set -r website:9 --file -"}) {
		t.Errorf("calls %q", calls)
	}
}

func TestPublicAddress(t *testing.T) {
	for _, test := range []struct {
		name, want, wantErr string
		start               world
	}{
		{"one", "203.0.113.5", "", world{Public: "203.0.113.5"}},
		{"none", "", "", world{Errors: map[string]string{"unit-get": "no public address(es)"}}},
		{"no such tool", "", "", world{Juju4: true}},
		{"an error", "", "cannot run unit-get: connection refused", world{Errors: map[string]string{"unit-get": "connection refused"}}},
	} {
		begin(t, test.start)
		got, err := unit(t).PublicAddress(t.Context())
		if got != test.want || text(err) != test.wantErr {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}
