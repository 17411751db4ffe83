package swift

import (
	"strings"
	"testing"
)

func TestLayout(t *testing.T) {
	for _, test := range []struct{ prefix, file, directory, group string }{
		{"", "files/docker/x", "files", "groups/abc/def/0000000000000002"},
		{"units/a", "units/a/files/docker/x", "units/a/files", "units/a/groups/abc/def/0000000000000002"},
	} {
		l := layout{prefix: test.prefix}
		if got := l.file("/docker/x"); got != test.file {
			t.Errorf("file of %q: %q, want %q", test.prefix, got, test.file)
		}
		if got := l.file("/"); got != test.directory {
			t.Errorf("root of %q: %q, want %q", test.prefix, got, test.directory)
		}
		if got := l.path(test.file + "/"); got != "/docker/x" {
			t.Errorf("path below %q: %q", test.prefix, got)
		}
		if got := l.group(strings.TrimPrefix(test.prefix+"/segments/abc/def", "/"), 2); got != test.group {
			t.Errorf("group of %q: %q, want %q", test.prefix, got, test.group)
		}
		one, other := l.newSegments(), l.newSegments()
		if one == other || len(one) != len(other) || !strings.HasPrefix(one, strings.TrimPrefix(test.prefix+"/segments/", "/")) {
			t.Errorf("segments: %q and %q", one, other)
		}
	}
}
