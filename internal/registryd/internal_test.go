package registryd

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/health"
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

// TestProxyDriver merges the states of schedulers that do not know of each other.
func TestProxyDriver(t *testing.T) {
	at := func(hours int) time.Time { return time.Date(2026, 1, 1, hours, 0, 0, 0, time.UTC) }
	state := func(hours map[string]int) map[string]expiry {
		entries := make(map[string]expiry)
		for key, hour := range hours {
			entries[key] = expiry{Key: key, Expiry: at(hour)}
		}
		return entries
	}
	var lock sync.Mutex
	storage := inmemory.New()
	served := true
	scheduler := func() *proxyDriver {
		return &proxyDriver{StorageDriver: storage, state: &lock, served: func() bool { return served }}
	}
	write := func(d *proxyDriver, hours map[string]int) {
		t.Helper()
		content, err := json.Marshal(state(hours))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.PutContent(t.Context(), schedulerState, content); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want map[string]int) {
		t.Helper()
		content, err := scheduler().GetContent(t.Context(), schedulerState)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]expiry)
		if err := json.Unmarshal(content, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(state(want), got); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
	}
	first, second := scheduler(), scheduler()
	check(map[string]int{}) // there is none
	served = false
	write(first, map[string]int{"tried": 1})
	check(map[string]int{})
	served = true
	write(first, map[string]int{"a": 1, "b": 1})
	if _, err := second.GetContent(t.Context(), schedulerState); err != nil {
		t.Fatal(err)
	}
	write(second, map[string]int{"a": 1, "b": 1, "c": 2})
	check(map[string]int{"a": 1, "b": 1, "c": 2})
	write(first, map[string]int{"b": 1}) // a expired, c is not its own
	check(map[string]int{"b": 1, "c": 2})
	write(first, map[string]int{"a": 5, "b": 1}) // a was pulled again
	write(second, map[string]int{"c": 2})        // a and b expired here too
	check(map[string]int{"a": 5, "c": 2})
	for _, damaged := range []string{"", "null", "{\"a\":", "[]"} {
		if err := storage.PutContent(t.Context(), schedulerState, []byte(damaged)); err != nil {
			t.Fatal(err)
		}
		check(map[string]int{})
	}
	if err := first.PutContent(t.Context(), "/other", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if content, err := first.GetContent(t.Context(), "/other"); string(content) != "x" {
		t.Errorf("another file holds %q, %v", content, err)
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
		s.current.Store(&generation{number: 1, app: &application{health: health.NewRegistry()}})
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
		if err == nil && forApp(conf, "secret", nil).HTTP.Secret == "" {
			t.Error("no secret in the application's configuration")
		}
	})
}
