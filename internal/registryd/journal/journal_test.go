package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"docker-registry-operator/internal/registryd/journal"
)

func TestFormats(t *testing.T) {
	for _, test := range []struct{ name, format, want string }{
		{"unset is json", "", `"msg":"hello <world>"`},
		{"json", "json", `"msg":"hello <world>"`},
		{"text", "text", `msg="hello <world>"`},
		{"logstash", "logstash", `"msg":"hello \u003cworld\u003e"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			logger, err := journal.New(&out).Logger(configuration.Log{Formatter: test.format})
			if err != nil {
				t.Fatal(err)
			}
			logger.Info("hello <world>")
			if !strings.Contains(out.String(), test.want) {
				t.Errorf("line %q does not have %q", out.String(), test.want)
			}
		})
	}
	if _, err := journal.New(io.Discard).Logger(configuration.Log{Formatter: "xml"}); err == nil {
		t.Error("format xml was accepted")
	}
}

// TestDistributionFindsLogger guards the way a logger gets into distribution, which goes
// by the name of a type that is not public.
func TestDistributionFindsLogger(t *testing.T) {
	var out bytes.Buffer
	logger, err := journal.New(&out).Logger(configuration.Log{Fields: map[string]any{"service": "test"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := journal.WithLogger(context.Background(), logger)
	vacuum := storage.NewVacuum(ctx, inmemory.New())
	_ = vacuum.RemoveRepository("absent") // logs before it fails
	var line map[string]any
	if err := json.NewDecoder(&out).Decode(&line); err != nil {
		t.Fatalf("distribution did not write to the logger: %v", err)
	}
	if line["service"] != "test" {
		t.Errorf("line %v has no field service", line)
	}
}

// TestSlogFollows changes the logger under a logger of the standard library.
func TestSlogFollows(t *testing.T) {
	var out bytes.Buffer
	j := journal.New(&out)
	current := logger(t, j, configuration.Log{Level: "error"})
	log := journal.Slog(func() *logrus.Entry { return current }).With("who", "me").WithGroup("g")
	log.Info("not seen")
	current = logger(t, j, configuration.Log{Level: "info"})
	log.Info("seen", "n", 1)
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %q", err, out.String())
	}
	want := map[string]any{"msg": "seen", "level": "info", "who": "me", "g.n": 1.0}
	for key := range got {
		if _, ok := want[key]; !ok {
			delete(got, key)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func logger(t *testing.T, j *journal.Journal, conf configuration.Log) *logrus.Entry {
	t.Helper()
	entry, err := j.Logger(conf)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}
