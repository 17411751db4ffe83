package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSetEnvironment(t *testing.T) {
	t.Setenv("CHARM_TEST_PROXY", "before")
	t.Setenv("CHARM_TEST_OTHER", "kept")
	path := filepath.Join(t.TempDir(), "environment")
	write(t, path, "CHARM_TEST_PROXY=http://u:p=q@proxy:3128\n")
	if err := setEnvironment(path); err != nil {
		t.Fatal(err)
	}
	if got, want := os.Getenv("CHARM_TEST_PROXY"), "http://u:p=q@proxy:3128"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := os.Getenv("CHARM_TEST_OTHER"); got != "kept" {
		t.Errorf("another setting became %q", got)
	}
}
