package registryd

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/google/go-cmp/cmp"
)

func TestParsePurge(t *testing.T) {
	section := func(pairs ...any) configuration.Parameters {
		values := make(map[any]any)
		for i := 0; i < len(pairs); i += 2 {
			values[pairs[i]] = pairs[i+1]
		}
		return configuration.Parameters{"uploadpurging": values}
	}
	for _, test := range []struct {
		name string
		in   configuration.Parameters
		want purgePolicy
		err  string
	}{
		{"default", nil, purgePolicy{enabled: true, age: 168 * time.Hour, interval: 24 * time.Hour}, ""},
		{"off", section("enabled", false), purgePolicy{}, ""},
		{"set", section("enabled", true, "age", "1h", "interval", "2m", "dryrun", true),
			purgePolicy{enabled: true, age: time.Hour, interval: 2 * time.Minute, dryRun: true}, ""},
		{"not a section", configuration.Parameters{"uploadpurging": true}, purgePolicy{},
			"uploadpurging config key must contain additional keys"},
		{"age", section("age", "old"), purgePolicy{}, `cannot read uploadpurging: age: time: invalid duration "old"`},
		{"interval", section("age", "1h", "interval", 5), purgePolicy{}, "cannot read uploadpurging: interval must be a duration"},
		{"zero interval", section("age", "1h", "interval", "0s"), purgePolicy{}, "cannot read uploadpurging: interval must be positive"},
		{"dryrun", section("age", "1h", "interval", "1h"), purgePolicy{}, "cannot read uploadpurging: dryrun must be true or false"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parsePurge(test.in)
			var text string
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff(test.err, text); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(purgePolicy{})); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		})
	}
}

// TestProxyDriver makes sure that a former generation leaves the scheduler's state alone.
func TestProxyDriver(t *testing.T) {
	owner := false
	var driver storagedriver.StorageDriver = proxyDriver{StorageDriver: inmemory.New(), owner: func() bool { return owner }}
	for _, test := range []struct {
		owner bool
		path  string
		want  bool
	}{{false, schedulerState, false}, {false, "/other", true}, {true, schedulerState, true}} {
		owner = test.owner
		if err := driver.PutContent(t.Context(), test.path, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := driver.Stat(t.Context(), test.path); (err == nil) != test.want {
			t.Errorf("owner %t, %s: %v, want written %t", test.owner, test.path, err, test.want)
		}
	}
}

func TestTracingWanted(t *testing.T) {
	for _, test := range []struct {
		name string
		in   map[string]string
		want bool
	}{
		{"unset", nil, false},
		{"exporter", map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		{"none", map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, false},
		{"endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, true},
		{"disabled", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, false},
	} {
		if got := tracingWanted(func(name string) string { return test.in[name] }); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}

// FuzzAdmin sends requests of any form to the admin interface of a server that has
// nothing to reload: it must answer each and serve on.
func FuzzAdmin(f *testing.F) {
	f.Add("GET", "/v1/status", "")
	f.Add("POST", "/v1/reload", "{}")
	f.Add("BREW", "/v1/../v1//status?x=%zz", "\x00")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, method, target, body string) {
		request, err := http.NewRequest(method, "http://admin", strings.NewReader(body))
		if err != nil {
			t.Skip("not a request")
		}
		request.URL.Path = target
		s := newServer(Options{Config: dir, Log: io.Discard})
		s.current.Store(&generation{number: 1})
		s.stopped.Store(true)
		answer := httptest.NewRecorder()
		s.adminHandler().ServeHTTP(answer, request)
		if answer.Code < 200 || answer.Code > 499 {
			t.Errorf("%s %q answered %d", method, target, answer.Code)
		}
	})
}

// FuzzParse makes sure that no configuration file ends the process.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "version: 0.1\nstorage: inmemory", "version: 0.1\nstorage: {a: {}, b: {}}", "version: [", "storage: &a [*a]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		conf, err := parse(data)
		if err == nil && forApp(conf, "secret").HTTP.Secret == "" {
			t.Error("no secret in the application's configuration")
		}
	})
}
