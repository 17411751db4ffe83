package swift

import (
	"strings"
	"testing"

	"github.com/ncw/swift/v2"
)

// FuzzObject reads the headers of an object as a broken object store may send them.
func FuzzObject(f *testing.F) {
	f.Add("5", "", "Mon, 02 Jan 2006 15:04:05 GMT", "x", "c/segments/a")
	f.Add("", "bytes 0-4/5", "", "", "")
	f.Add("-5", "", "never", "5", "%zz")
	f.Add("0", "bytes */*", "", "-", "/")
	f.Add("9223372036854775808", "/-1", "", "", "c%2fsegments//")
	f.Fuzz(func(t *testing.T, length, span, modified, size, manifest string) {
		o, err := newObject(swift.Headers{
			"Content-Length": length, "Content-Range": span, "Last-Modified": modified,
			sizeMeta: size, dynamicManifest: manifest,
		})
		if err != nil {
			return
		}
		if o.size < 0 {
			t.Errorf("size %d", o.size)
		}
		if complete := o.complete() == nil; complete && size != "" && strings.HasPrefix(size, "-") {
			t.Errorf("an object of %q bytes is complete", size)
		}
		if segments := o.segments(); segments != "" && !o.isDynamic() && !o.isStatic() {
			t.Errorf("segments %q of an object that has none", segments)
		}
		o.metadata()
	})
}
