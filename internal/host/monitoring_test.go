package host

import (
	"io"
	"log/slog"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/desired"
)

func TestEnsureMonitoringRestartsOnce(t *testing.T) {
	layout := desired.Layout{Root: t.TempDir()}
	m := NewMachine(MachineOptions{Layout: layout, User: owner(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	run := &fakeRunner{}
	m.run = run
	check := func(command string) []desired.File {
		return []desired.File{
			{Path: layout.Checks() + "/check_registry.cfg", Content: []byte(command)},
			{Path: layout.Config() + "/config.yml", Content: []byte(command)},
		}
	}
	if checks, exports := m.Monitoring(); checks || exports {
		t.Error("a machine without NRPE is monitored")
	}
	if err := os.MkdirAll(layout.Checks(), 0o755); err != nil {
		t.Fatal(err)
	}
	if checks, exports := m.Monitoring(); !checks || exports {
		t.Errorf("checks %v, exports %v", checks, exports)
	}
	restart := []string{"service nagios-nrpe-server restart"}
	for _, step := range []struct {
		name     string
		files    []desired.File
		fail     bool
		want     []string
		wantNote string
	}{
		{"never monitored", nil, false, nil, ""},
		{"checks", check("one"), false, restart, ""},
		{"the same", check("one"), false, nil, ""},
		{"others, and a restart that fails", check("two"), true, restart,
			"NRPE does not know its checks, because it cannot be restarted: service: no such service."},
		{"once more", check("two"), false, restart, ""},
		{"gone", nil, false, restart, ""},
		{"still gone", nil, false, nil, ""},
	} {
		run.lines, run.fail = nil, nil
		if step.fail {
			run.fail = map[string]string{"service": "no such service"}
		}
		note, err := m.EnsureMonitoring(t.Context(), step.files)
		if err != nil || note != step.wantNote {
			t.Errorf("%s: note %q, %v", step.name, note, err)
		}
		if diff := cmp.Diff(step.want, run.lines); diff != "" {
			t.Errorf("%s: ran (-want +got):\n%s", step.name, diff)
		}
	}
}

// TestEnsureMonitoringWithoutNRPE is about a machine that NRPE was removed from together
// with the relation.
func TestEnsureMonitoringWithoutNRPE(t *testing.T) {
	layout := desired.Layout{Root: t.TempDir()}
	m := NewMachine(MachineOptions{Layout: layout, User: owner(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	run := &fakeRunner{}
	m.run = run
	if err := m.SetRecord(monitored, "digest"); err != nil {
		t.Fatal(err)
	}
	if note, err := m.EnsureMonitoring(t.Context(), nil); note != "" || err != nil || len(run.lines) > 0 {
		t.Errorf("%q, %v, ran %v", note, err, run.lines)
	}
	if record, err := m.Record(monitored); record != "" || err != nil {
		t.Errorf("record %q, %v", record, err)
	}
}
