package juju

import (
	"testing"

	"docker-registry-operator/internal/desired"
)

func TestStorage(t *testing.T) {
	attached := desired.Storage{ID: "registry-data/3", Location: "/srv/registry-data"}
	env := map[string]string{
		"JUJU_UNIT_NAME": "docker-registry/0", "JUJU_STORAGE_ID": attached.ID, "JUJU_STORAGE_LOCATION": attached.Location,
	}
	for _, test := range []struct {
		hook, list string
		want       desired.Storage
		known      bool
		calls      int
	}{
		{"registry-data-storage-attached", "", attached, true, 0},
		{"registry-data-storage-detaching", "", desired.Storage{}, true, 0},
		{"other-storage-attached", "", desired.Storage{}, false, 0},
		{"update-status", "", desired.Storage{}, false, 0},
		{"config-changed", "", desired.Storage{}, false, 0},
		{"start", `["registry-data/3"]`, attached, true, 2},
		{"upgrade-charm", `[]`, desired.Storage{}, true, 1},
	} {
		t.Run(test.hook, func(t *testing.T) {
			begin(t, world{Answers: map[string]string{"storage-list": test.list, "storage-get": `"/srv/registry-data"`}})
			u, err := NewUnit(func(name string) string {
				if name == "JUJU_DISPATCH_PATH" {
					return "hooks/" + test.hook
				}
				return env[name]
			})
			if err != nil {
				t.Fatal(err)
			}
			got, known, err := u.Storage(t.Context(), "registry-data")
			if err != nil || got != test.want || known != test.known {
				t.Errorf("got %v, %v, %v, want %v, %v", got, known, err, test.want, test.known)
			}
			if calls := now(t).Calls; len(calls) != test.calls {
				t.Errorf("calls %q, want %d", calls, test.calls)
			}
		})
	}
}

func TestStorageWithoutItsEnvironment(t *testing.T) {
	u, err := NewUnit(func(name string) string {
		return map[string]string{"JUJU_UNIT_NAME": "docker-registry/0", "JUJU_DISPATCH_PATH": "hooks/registry-data-storage-attached"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "cannot tell what storage is attached: JUJU_STORAGE_ID or JUJU_STORAGE_LOCATION is not set"
	if _, _, err := u.Storage(t.Context(), "registry-data"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
