package desired

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
)

func TestForSaysWhereImagesAre(t *testing.T) {
	in := input()
	if got := decide(t, in).Place; got != "/srv/registry" || !got.Dir() {
		t.Errorf("filesystem: %q", got)
	}
	in.Config.Storage.Backend = config.S3{Bucket: "images", Region: "eu-central-1", V4Auth: true, SecretKey: config.NewSecret("s3cret")}
	if got := decide(t, in).Place; got != `s3 bucket "images" at eu-central-1` || got.Dir() {
		t.Errorf("S3: %q", got)
	}
}

func TestForWithImagesInStorage(t *testing.T) {
	in := input()
	in.Facts.Storage = "/srv/registry-data/registry"
	state := decide(t, in)
	mounted := slices.ContainsFunc(state.Workload.Mounts, func(m Mount) bool { return m.Path == in.Facts.Storage && !m.ReadOnly })
	if state.Data != in.Facts.Storage || state.Place != "/srv/registry-data/registry" || !mounted {
		t.Errorf("data %q, place %q, mounts %v", state.Data, state.Place, state.Workload.Mounts)
	}
	if slices.ContainsFunc(state.Workload.Mounts, func(m Mount) bool { return m.Path == "/srv/registry" }) {
		t.Error("the registry has the former directory too")
	}
}

func TestLeave(t *testing.T) {
	const here, there, elsewhere = Place("/srv/registry"), Place("s3"), Place("swift")
	known := func(n int) Count { return Count{Known: true, Repositories: n} }
	for _, test := range []struct {
		name        string
		left        []Left
		before, now Place
		count       Count
		want        []Left
	}{
		{"images", nil, here, there, known(2), []Left{{Place: here, Count: known(2)}}},
		{"none", nil, here, there, known(0), nil},
		{"nobody can tell", nil, there, here, Count{}, []Left{{Place: there, Count: Count{}}}},
		{"tried again", []Left{{Place: there, Count: known(5)}}, there, here, Count{}, []Left{{Place: there, Count: known(5)}}},
		{"counted again", []Left{{Place: there, Count: known(5)}}, there, here, known(0), nil},
		{"back", []Left{{Place: here, Count: known(2)}}, there, here, known(1), []Left{{Place: there, Count: known(1)}}},
		{"further", []Left{{Place: here, Count: known(2)}}, there, elsewhere, known(1), []Left{{Place: here, Count: known(2)}, {Place: there, Count: known(1)}}},
		{
			"moved", []Left{{Place: here, Copied: true}}, here, there, known(2),
			[]Left{{Place: here, Count: known(2), Copied: true}},
		},
		{"nothing before", nil, "", here, Count{}, nil},
		{"the same", nil, here, here, known(2), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Leave(test.left, test.before, test.count, test.now)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLeftNote(t *testing.T) {
	for _, test := range []struct {
		count Count
		want  string
	}{
		{Count{}, "Images may stay in /srv/registry."},
		{Count{Known: true, Repositories: 1}, "1 repository stays in /srv/registry."},
		{Count{Known: true, Repositories: 12}, "12 repositories stay in /srv/registry."},
		{Count{Known: true, Repositories: 1000, More: true}, "More than 1000 repositories stay in /srv/registry."},
	} {
		if got := (Left{Place: "/srv/registry", Count: test.count}).Note(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	const want = "A copy of all images from before they were moved stays in /srv/registry; remove /srv/registry/docker if you do not need it."
	if got := (Left{Place: "/srv/registry", Copied: true}).Note(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
