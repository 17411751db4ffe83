// Package footprint gives memory back to the kernel that only the start of the process has needed.
package footprint

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// Shrink gives back what is free on the heap, and the pages of the program: most of those in memory are of what
// was initialized, such as clients of storage that is not used. What is needed again comes from the page cache.
// An error leaves everything as it works.
func Shrink() error {
	debug.FreeOSMemory()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	for _, pages := range unwritable(maps, program) {
		if _, _, failed := unix.Syscall(unix.SYS_MADVISE, pages.begin, pages.end-pages.begin, unix.MADV_DONTNEED); failed != 0 {
			return fmt.Errorf("cannot give back pages of %s: %w", program, failed)
		}
	}
	return nil
}

// pages are where a part of a file is in memory.
type pages struct{ begin, end uintptr }

// unwritable finds the parts of a program that cannot have changed in memory, in a list of the form of
// /proc/PID/maps, proc(5).
func unwritable(maps io.Reader, program string) []pages {
	var found []pages
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		place, rest, _ := strings.Cut(lines.Text(), " ")
		rights, _, _ := strings.Cut(rest, " ")
		var part pages
		_, err := fmt.Sscanf(place, "%x-%x", &part.begin, &part.end)
		if err == nil && !strings.Contains(rights, "w") && strings.HasSuffix(rest, " "+program) {
			found = append(found, part)
		}
	}
	return found
}
