package juju

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/relation"
)

func TestSecret(t *testing.T) {
	const uri = "secret:cr2b8ke5v7qc7ahm2pl0"
	content := map[string]map[string]string{uri: {"access-key": "AK", "secret-key": "hidden"}}
	for _, test := range []struct {
		name, uri, wantErr string
		start              world
	}{
		{"granted", uri, "", world{Secrets: content}},
		{"not granted", "secret:other", "cannot run secret-get: permission denied", world{Secrets: content}},
		{"no such tool", uri, "there are no secrets", world{Juju4: true, Secrets: content}},
		{"odd", uri, "cannot read the answer of secret-get: JSON of another type than expected at byte 8", world{
			Secrets: content, Answers: map[string]string{"secret-get": `"hidden"`},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t, test.start)
			if test.name == "no such tool" {
				t.Setenv("PATH", t.TempDir())
			}
			got, err := unit(t).Secret(t.Context(), test.uri)
			if test.wantErr != text(err) || strings.Contains(text(err), "hidden") {
				t.Fatalf("error %q, want %q", text(err), test.wantErr)
			}
			want := map[string]config.Secret{"access-key": config.NewSecret("AK"), "secret-key": config.NewSecret("hidden")}
			if diff := cmp.Diff(want, got); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPublishApp(t *testing.T) {
	start := neighbours()
	start.Leader = true
	start.Relations["s3-credentials"] = []string{"s3-credentials:4"}
	start.Bags["s3-credentials:4 docker-registry"] = map[string]string{}
	begin(t, start)
	u := unit(t)
	if err := u.PublishApp(t.Context(), "s3-credentials:4", map[string]string{"bucket": "images"}); err != nil {
		t.Fatal(err)
	}
	if calls := now(t).Calls; !slices.Equal(calls, []string{"relation-set -r s3-credentials:4 --app --file -"}) {
		t.Errorf("calls %q", calls)
	}
	got, err := u.Relations(t.Context(), "s3-credentials", relation.Parts{OwnApp: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []relation.Relation{{ID: "s3-credentials:4", OwnApp: relation.Bag{"bucket": "images"}, Units: map[string]relation.Bag{}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
