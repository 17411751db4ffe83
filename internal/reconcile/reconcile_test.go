package reconcile

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/desired"
)

// world is a unit that remembers what was done to it.
type world struct {
	files   map[string]string
	running map[string]string // unit -> digest of its configuration
	ports   []int
	told    map[string]string
	foreign int // files in the data directory that are not the registry's

	monitored bool
	refuse    string // a configuration that the registry does not take
	fail      error  // what Ensure fails with
	resume    bool   // a registry had to stop for the one that failed
	done      []string
}

func (w *world) did(what string) { w.done = append(w.done, what) }

func (w *world) Sync(files []desired.File) (desired.Change, error) {
	before := maps.Clone(w.files)
	var change desired.Change
	after := map[string]string{}
	for _, file := range files {
		after[file.Path] = string(file.Content)
		if before[file.Path] != string(file.Content) {
			change.Written = append(change.Written, file.Path)
			w.did("write " + file.Path)
		}
	}
	for path := range before {
		if _, kept := after[path]; !kept {
			change.Removed = append(change.Removed, path)
			w.did("remove " + path)
		}
	}
	w.files = after
	change.Undo = func() error {
		w.did("undo")
		w.files = before
		return nil
	}
	return change, nil
}

func (w *world) PrepareData(string) error { return nil }

func (w *world) TakeOver(context.Context, string) (desired.Progress, error) {
	const budget = 10
	w.did("take over")
	w.foreign = max(0, w.foreign-budget)
	return desired.Progress{Files: budget, Done: w.foreign == 0}, nil
}

func (w *world) EnsureClient(_ context.Context, client desired.Client) ([]string, error) {
	if client.Plain {
		return []string{"Docker is not ours."}, nil
	}
	return nil, nil
}

func (w *world) Ensure(_ context.Context, workload desired.Workload) (desired.Outcome, error) {
	if w.resume {
		resume := func() error {
			w.did("resume")
			return nil
		}
		return desired.Outcome{Resume: resume}, w.fail
	}
	if w.fail != nil {
		return desired.Outcome{}, w.fail
	}
	if workload.Config == w.refuse {
		return desired.Outcome{}, &desired.Refused{Reason: "no such level"}
	}
	if w.running[workload.Unit] == workload.Config {
		return desired.Outcome{Version: "v3"}, nil
	}
	w.did("run " + workload.Config)
	w.running[workload.Unit] = workload.Config
	return desired.Outcome{Done: "reloaded", Version: "v3"}, nil
}

func (w *world) Repositories(context.Context, string, string) desired.Count { return desired.Count{} }

func (w *world) Retire(_ context.Context, unit string) error {
	if _, runs := w.running[unit]; runs {
		w.did("retire " + unit)
		delete(w.running, unit)
	}
	return nil
}

func (w *world) Remove(_ context.Context, unit string) error {
	w.did("remove " + unit)
	delete(w.running, unit)
	return nil
}

func (w *world) EnsureMonitoring(_ context.Context, files []desired.File) (string, error) {
	if _, monitored := w.files["/etc/nagios/nrpe.d/check_registry.cfg"]; monitored && !w.monitored {
		w.monitored = true
		w.did("restart NRPE")
	}
	return "", nil
}

func (w *world) Publish(_ context.Context, id string, settings map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		w.did("tell " + id + " " + key)
	}
	maps.Copy(w.told, settings)
	return nil
}

func (w *world) PublishApp(ctx context.Context, id string, settings map[string]string) error {
	return w.Publish(ctx, id+" of the application", settings)
}

func (w *world) OpenedPorts(context.Context) ([]int, error) { return slices.Clone(w.ports), nil }

func (w *world) OpenPort(_ context.Context, port int) error {
	w.did("open")
	w.ports = append(w.ports, port)
	return nil
}

func (w *world) ClosePort(_ context.Context, port int) error {
	w.did("close")
	w.ports = slices.DeleteFunc(w.ports, func(p int) bool { return p == port })
	return nil
}

func newWorld() *world {
	return &world{
		files:   map[string]string{"/c/config.yml": "old", "/c/gone": "x"},
		running: map[string]string{"r/0": "old"},
		ports:   []int{5000, 5001},
		told:    map[string]string{"port": "5000", "other": "stays"},
	}
}

func state(config string) desired.State {
	return desired.State{
		Files:    []desired.File{{Path: "/c/config.yml", Content: []byte(config)}},
		Workload: desired.Workload{Unit: "r/0", Config: config, Sockets: "/s"},
		Ports:    []int{443, 5000},
	}
}

func apply(t *testing.T, w *world, others []Runtime, s desired.State) (Result, error) {
	t.Helper()
	r := Reconciler{Runtime: w, Others: others, Host: w, Juju: w, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	return r.Apply(t.Context(), s)
}

// TestApplyTellsOnceItServes holds that relations and NRPE hear of a registry that serves,
// and only of what is new.
func TestApplyTellsOnceItServes(t *testing.T) {
	w := newWorld()
	tell := func(config string) desired.State {
		s := state(config)
		s.Files = append(s.Files, desired.File{Path: "/etc/nagios/nrpe.d/check_registry.cfg", Content: []byte("command")})
		s.Databags = []desired.Databag{{Relation: "website:2", Now: maps.Clone(w.told), Settings: map[string]string{
			"port": "5000", "services": "yaml", "all_services": "",
		}}}
		return s
	}
	for _, want := range [][]string{
		{"write /c/config.yml", "write /etc/nagios/nrpe.d/check_registry.cfg", "remove /c/gone", "run new", "open", "close", "tell website:2 services", "restart NRPE"},
		nil,
	} {
		w.done = nil
		if _, err := apply(t, w, nil, tell("new")); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, w.done); diff != "" {
			t.Errorf("done (-want +got):\n%s", diff)
		}
	}
	w.done, w.refuse = nil, "refused"
	if _, err := apply(t, w, nil, tell("refused")); err == nil {
		t.Error("a configuration that is refused is no error")
	}
	if slices.ContainsFunc(w.done, func(what string) bool { return strings.HasPrefix(what, "tell") }) {
		t.Errorf("relations are told of a registry that does not serve: %v", w.done)
	}
}

func TestApplyMakesItSoOnce(t *testing.T) {
	w := newWorld()
	other := newWorld()
	result, err := apply(t, w, []Runtime{other}, state("new"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Result{Version: "v3"}, result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	want := []string{"write /c/config.yml", "remove /c/gone", "run new", "open", "close"}
	if diff := cmp.Diff(want, w.done); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"retire r/0"}, other.done); diff != "" {
		t.Errorf("done by the other runtime (-want +got):\n%s", diff)
	}
	w.done, other.done = nil, nil
	if _, err := apply(t, w, []Runtime{other}, state("new")); err != nil {
		t.Fatal(err)
	}
	if len(w.done)+len(other.done) > 0 {
		t.Errorf("done the second time: %v, %v", w.done, other.done)
	}
}

func TestApplyPutsFilesBackWhenRefused(t *testing.T) {
	w := newWorld()
	w.refuse = "bad"
	_, err := apply(t, w, nil, state("bad"))
	if refused := (*desired.Refused)(nil); !errors.As(err, &refused) {
		t.Fatalf("got error %v, want a refusal", err)
	}
	if got, want := w.files["/c/config.yml"], "old"; got != want {
		t.Errorf("config.yml holds %q, want %q", got, want)
	}
	if diff := cmp.Diff([]int{5000, 5001}, w.ports); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

func TestApplyKeepsFilesWhenTheRuntimeFails(t *testing.T) {
	w := newWorld()
	w.fail = desired.ErrNoEngine
	if _, err := apply(t, w, nil, state("new")); !errors.Is(err, desired.ErrNoEngine) {
		t.Fatalf("got error %v, want %v", err, desired.ErrNoEngine)
	}
	if got, want := w.files["/c/config.yml"], "new"; got != want {
		t.Errorf("config.yml holds %q, want %q", got, want)
	}
}

// TestApplyResumesWithTheFormerFiles is about a registry that had to stop for one that
// then failed.
func TestApplyResumesWithTheFormerFiles(t *testing.T) {
	for _, cause := range []error{&desired.Refused{Reason: "no such level"}, errors.New("engine is gone")} {
		w := newWorld()
		w.fail, w.resume = cause, true
		if _, err := apply(t, w, nil, state("new")); !errors.Is(err, cause) {
			t.Fatalf("got error %v, want %v", err, cause)
		}
		want := []string{"write /c/config.yml", "remove /c/gone", "undo", "resume"}
		if diff := cmp.Diff(want, w.done); diff != "" {
			t.Errorf("done (-want +got):\n%s", diff)
		}
	}
}

func TestApplyGoesOnWithoutTheOtherRuntimesEngine(t *testing.T) {
	if _, err := apply(t, newWorld(), []Runtime{noEngine{}}, state("new")); err != nil {
		t.Fatal(err)
	}
}

type noEngine struct{ Runtime }

func (noEngine) Retire(context.Context, string) error { return desired.ErrNoEngine }

func TestApplyTakesOverForeignFilesInSteps(t *testing.T) {
	w := newWorld()
	w.foreign = 15
	s := state("new")
	s.TakeOver = true
	first, err := apply(t, w, nil, s)
	if err != nil {
		t.Fatal(err)
	}
	second, err := apply(t, w, nil, s)
	if err != nil {
		t.Fatal(err)
	}
	want := []Result{
		{Version: "v3", Notes: []string{"Taking over images: 10 files so far."}},
		{Version: "v3", TakenOver: true},
	}
	if diff := cmp.Diff(want, []Result{first, second}); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestApplyHandsOnNotes(t *testing.T) {
	s := state("new")
	s.Client.Plain = true
	result, err := apply(t, newWorld(), nil, s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Docker is not ours."}, result.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func TestPublishTellsForTheApplication(t *testing.T) {
	w := &world{told: map[string]string{}}
	r := Reconciler{Juju: w, Log: slog.New(slog.DiscardHandler)}
	bags := []desired.Databag{
		{Relation: "s3-credentials:4", Application: true, Settings: map[string]string{"bucket": "images"}},
		{Relation: "website:2", Settings: map[string]string{"port": "5000"}},
	}
	if err := r.Publish(t.Context(), bags); err != nil {
		t.Fatal(err)
	}
	want := []string{"tell s3-credentials:4 of the application bucket", "tell website:2 port"}
	if diff := cmp.Diff(want, w.done); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
}
