package footprint

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestShrink counts the pages of the program that are in memory, and goes on with it.
func TestShrink(t *testing.T) {
	before := resident(t)
	if err := Shrink(); err != nil {
		t.Fatal(err)
	}
	if after := resident(t); after >= before {
		t.Errorf("%d KiB of the program are in memory, before %d KiB", after, before)
	}
}

// resident is how much of files is in the memory of this process, in KiB.
func resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	var kilobytes int
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes
}

func TestUnwritable(t *testing.T) {
	const maps = `00400000-01ad5000 r-xp 00000000 fe:00 11272387                           /opt/my registry
01ad5000-03929000 r--p 016d5000 fe:00 11272387                           /opt/my registry
03929000-03a1c000 rw-p 03529000 fe:00 11272387                           /opt/my registry
03a1c000-05a70000 rw-p 00000000 00:00 0 
7f239743e000-7f2397900000 r-xp 00000000 fe:00 1                          /lib/libc.so.6
7ffd3b5f6000-7ffd3b5f8000 r-xp 00000000 00:00 0                          [vdso]
`
	want := []pages{{0x00400000, 0x01ad5000}, {0x01ad5000, 0x03929000}}
	if diff := cmp.Diff(want, unwritable(strings.NewReader(maps), "/opt/my registry"), cmp.AllowUnexported(pages{})); diff != "" {
		t.Error(diff)
	}
}
