package operator

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
)

func TestAccess(t *testing.T) {
	w := fresh(t)
	w.unit.options["auth-basic-password"] = "s3cret"
	if _, err := w.Access(t.Context()); err == nil {
		t.Error("a unit that was never deployed is ready")
	}
	w.converge(t)
	got, err := w.Access(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Access{
		Netloc: "10.0.0.5:5000", Netlocs: []string{"10.0.0.5:5000"}, Address: "127.0.0.1:5000",
		User: "admin", Password: config.NewSecret("s3cret"), Engine: true,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(config.Secret.Equal)); diff != "" {
		t.Errorf("access (-want +got):\n%s", diff)
	}
}

func TestAccessOfARegistryThatTakesNoPushes(t *testing.T) {
	for _, test := range []struct {
		option string
		value  any
		want   string
	}{
		{"cache-remoteurl", "https://registry.example.com", `registry takes no pushes: option "cache-remoteurl" makes it a cache of another registry; push to that one`},
		{"storage-read-only", true, `registry takes no pushes: option "storage-read-only" is on; set it to false first`},
	} {
		w := fresh(t)
		w.unit.options[test.option] = test.value
		w.converge(t)
		if _, err := w.Access(t.Context()); err == nil || err.Error() != test.want {
			t.Errorf("%s: error %v, want %s", test.option, err, test.want)
		}
	}
}
