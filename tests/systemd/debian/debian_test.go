package debian_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"docker-registry-operator/tests/systemd/debian"
)

func TestMakeOnce(t *testing.T) {
	system, err := debian.Make(t.Context(), "../../build")
	if errors.Is(err, debian.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(system.Archive, "Packages"))
	if err != nil || !strings.Contains(string(index), "Package: "+debian.Engine+"\n") {
		t.Errorf("the archive has no engine: %v\n%s", err, index)
	}
	if _, err := os.Stat(filepath.Join(system.Root, "lib/systemd/systemd")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(system.Root, "usr/bin/dockerd")); err == nil {
		t.Error("the system has an engine already")
	}
}
