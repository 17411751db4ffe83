package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A cgroupMount is one mounted cgroup hierarchy of the host: one for each controller in version 1,
// a single one in version 2, both in a hybrid.
type cgroupMount struct {
	kind, point, options string
}

// cgroupMounts lists the hierarchies that the process sees under /sys/fs/cgroup.
func cgroupMounts() ([]cgroupMount, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cannot list cgroups: %w", err)
	}
	var mounts []cgroupMount
	seen := make(map[string]bool)
	for line := range strings.Lines(string(table)) {
		before, after, _ := strings.Cut(line, " - ")
		head, tail := strings.Fields(before), strings.Fields(after)
		if len(head) < 5 || len(tail) < 3 || !strings.HasPrefix(tail[0], "cgroup") {
			continue
		}
		point := head[4]
		if !strings.HasPrefix(point, "/sys/fs/cgroup") || seen[point] {
			continue
		}
		seen[point] = true
		mounts = append(mounts, cgroupMount{kind: tail[0], point: point, options: controllers(tail[2])})
	}
	return mounts, nil
}

// controllers keeps of a hierarchy's options those that choose its controllers.
func controllers(options string) string {
	var kept []string
	for option := range strings.SplitSeq(options, ",") {
		if option != "rw" && option != "ro" && option != "xattr" && !strings.HasPrefix(option, "release_agent=") {
			kept = append(kept, option)
		}
	}
	return strings.Join(kept, ",")
}

// join makes the group called name in the hierarchy and moves the process into it.
func (m cgroupMount) join(name string) error {
	group := filepath.Join(m.point, name)
	if err := os.MkdirAll(group, 0o755); err != nil {
		return fmt.Errorf("cannot make cgroup %s: %w", group, err)
	}
	// A new cpuset is empty, and nothing can run in it until it names processors and memory.
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(m.point, file))
		if err != nil || m.kind == "cgroup2" || len(bytes.TrimSpace(value)) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(group, file), value, 0o644); err != nil {
			return fmt.Errorf("cannot set up cgroup %s: %w", group, err)
		}
	}
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0o644); err != nil {
		return fmt.Errorf("cannot enter cgroup %s: %w", group, err)
	}
	return nil
}

// mountAt mounts the hierarchy, as the machine sees it, where root has it.
func (m cgroupMount) mountAt(root string) error {
	point := filepath.Join(root, m.point)
	if err := os.MkdirAll(point, 0o755); err != nil {
		return err
	}
	options := m.options
	if m.kind == "cgroup2" {
		options = ""
	}
	return mount("cgroup", point, m.kind, 0, options)
}
