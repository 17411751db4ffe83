package juju

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestAction(t *testing.T) {
	begin(t, world{Params: map[string]any{"image": "ubuntu:24.04", "pull": true, "count": 3, "ratio": 0.5, "tag": nil}})
	a := NewAction("push")
	params, err := a.Params(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"image": "ubuntu:24.04", "pull": true, "count": int64(3), "ratio": 0.5}
	if diff := cmp.Diff(want, params); diff != "" {
		t.Error(diff)
	}
	for _, err := range []error{
		a.Log(t.Context(), "-pulled\x00"),
		a.Set(t.Context(), map[string]string{"raw": "pushed a=b\nc", "outcome": "success"}),
		a.Set(t.Context(), nil),
		a.Fail(t.Context(), "--image is not there"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	got := now(t)
	if diff := cmp.Diff([]string{"outcome=success", "raw=pushed a=b\nc"}, got.Results); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"-pulled"}, got.Progress); diff != "" {
		t.Error(diff)
	}
	if got.Failure != "--image is not there" {
		t.Errorf("failure %q", got.Failure)
	}
}

// TestLongResult gives action-set more than one argument can hold.
func TestLongResult(t *testing.T) {
	begin(t, world{})
	long := strings.Repeat("ö", 200<<10)
	if err := NewAction("images").Set(t.Context(), map[string]string{"output": long}); err != nil {
		t.Fatal(err)
	}
	result := now(t).Results[0]
	if !utf8.ValidString(result) || !strings.HasSuffix(result, "\n[286720 more bytes left out]") {
		t.Errorf("result of %d bytes ends in %q", len(result), result[len(result)-40:])
	}
}
