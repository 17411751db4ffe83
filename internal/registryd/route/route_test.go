package route

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		prefix, path string
		want         Path // the zero value if it is about no repository
	}{
		{"", "/v2/app/manifests/latest", Path{"app", Manifests, "latest"}},
		{"", "/v2/a/b/referrers/sha256:0", Path{"a/b", Referrers, "sha256:0"}},
		{"", "/v2/app/blobs/sha512:0", Path{"app", Blobs, "sha512:0"}},
		{"", "/v2/app/blobs/uploads/", Path{"app", Uploads, ""}},
		{"", "/v2/app/blobs/uploads/1-2", Path{"app", Uploads, "1-2"}},
		{"", "/v2/a/blobs/uploads/b/manifests/v1", Path{"a/blobs/uploads/b", Manifests, "v1"}},
		{"/images/", "/images/v2/app/manifests/v1", Path{"app", Manifests, "v1"}},
		{"/images/", "/v2/app/manifests/v1", Path{}},
		{"", "/images/v2/app/manifests/v1", Path{}},
		{"", "/v2/", Path{}},
		{"", "/v2/_catalog", Path{}},
		{"", "/v2/app/tags/list", Path{}},
		{"", "/v2/manifests/v1", Path{}},
	} {
		got, ok := Parse(test.prefix, test.path)
		if !ok {
			got = Path{}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s below %q (-want +got):\n%s", test.path, test.prefix, diff)
		}
	}
}

func TestIsUpload(t *testing.T) {
	for path, want := range map[string]bool{
		"/v2/app/blobs/uploads/": true, "/images/v2/app/blobs/uploads/1": true,
		"/v2/a/blobs/uploads/b/manifests/v1": false, "/v2/app/blobs/sha256:0": false, "/": false, "": false,
	} {
		if got := IsUpload(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
