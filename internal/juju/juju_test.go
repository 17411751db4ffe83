package juju

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/operator"
)

func unit(t *testing.T) *Unit {
	t.Helper()
	u, err := NewUnit(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestNewUnitWithoutName(t *testing.T) {
	_, err := NewUnit(func(string) string { return "" })
	if want := `cannot tell the unit from JUJU_UNIT_NAME=""`; err == nil || err.Error() != want {
		t.Errorf("NewUnit: %v, want %s", err, want)
	}
}

func TestOptions(t *testing.T) {
	begin(t, world{Answers: map[string]string{"config-get": `{
		"registry-port": 5000, "storage-s3-chunksize": 1.2345678e+07, "big": 9007199254740993,
		"ratio": 0.5, "log-level": "info", "storage-delete": false, "unset": null}`}})
	got, err := unit(t).Options(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := config.Options{
		"registry-port": int64(5000), "storage-s3-chunksize": int64(12345678), "big": int64(9007199254740993),
		"ratio": 0.5, "log-level": "info", "storage-delete": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPorts(t *testing.T) {
	begin(t, world{Ports: []string{"6000-6002/tcp", "5001/tcp", "6001/tcp", "53/udp", "icmp"}})
	u := unit(t)
	if err := u.OpenPort(t.Context(), 5000); err != nil {
		t.Fatal(err)
	}
	if err := u.ClosePort(t.Context(), 5001); err != nil {
		t.Fatal(err)
	}
	got, err := u.OpenedPorts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{5000, 6000, 6001, 6002}, got); diff != "" {
		t.Error(diff)
	}
}

func TestStatus(t *testing.T) {
	begin(t, world{Status: []string{"unknown", ""}})
	u := unit(t)
	first, err := u.Status(t.Context())
	if err != nil || first != (desired.Status{Level: "unknown"}) {
		t.Errorf("first status %+v, %v", first, err)
	}
	want := desired.Status{Level: desired.Blocked, Message: `-l "ö" $HOME`}
	if err := u.SetStatus(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := u.Status(t.Context())
	if err != nil || got != want {
		t.Errorf("status %+v, %v; want %+v", got, err, want)
	}
	if err := u.SetVersion(t.Context(), "v3.1.2"); err != nil || now(t).Version != "v3.1.2" {
		t.Errorf("version %q, %v", now(t).Version, err)
	}
}

func TestAddresses(t *testing.T) {
	bind := []any{map[string]any{"addresses": []any{map[string]any{"value": "10.0.0.9", "cidr": "10.0.0.0/24"}}}}
	for _, test := range []struct {
		name    string
		network map[string]any
		want    []string
		wantErr string
	}{
		{"ingress", map[string]any{"bind-addresses": bind, "ingress-addresses": []string{"10.0.0.5", "fd00::5"}}, []string{"10.0.0.5", "fd00::5"}, ""},
		{"bind only", map[string]any{"bind-addresses": bind}, []string{"10.0.0.9"}, ""},
		{"none", map[string]any{"bind-addresses": nil}, nil,
			"cannot read the answer of network-get: the endpoint has no address yet"},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t, world{Network: map[string]any{"website": test.network}})
			got, err := unit(t).Addresses(t.Context(), "website")
			if !slices.Equal(got, test.want) || text(err) != test.wantErr {
				t.Errorf("%q, %v; want %q, %s", got, err, test.want, test.wantErr)
			}
		})
	}
}

func TestProxy(t *testing.T) {
	begin(t, world{})
	t.Setenv("JUJU_CHARM_HTTP_PROXY", "http://proxy:3128")
	t.Setenv("JUJU_CHARM_HTTPS_PROXY", "http://proxy:3129")
	t.Setenv("JUJU_CHARM_NO_PROXY", "10.0.0.0/8")
	want := operator.Proxy{HTTP: "http://proxy:3128", HTTPS: "http://proxy:3129", No: "10.0.0.0/8"}
	if got := unit(t).Proxy(); got != want {
		t.Errorf("%+v", got)
	}
}

// TestShared follows a secret through a unit's life: it is read from wherever it
// may be, and ends in the databag, which outlives leader settings.
func TestShared(t *testing.T) {
	bag := map[string]string{"http-secret": "kept"}
	for _, test := range []struct {
		name    string
		start   world
		want    string
		databag map[string]string
	}{
		{"nowhere", world{Leader: true, Peer: "peer:1"}, "", nil},
		{"before the peer relation", world{Leader: true}, "", nil},
		{"databag", world{Peer: "peer:1", Databag: bag}, "kept", bag},
		{"databag wins", world{Leader: true, Peer: "peer:1", Databag: bag, Settings: map[string]string{"http-secret": "old"}}, "kept", bag},
		{"old charm, leader", world{Leader: true, Peer: "peer:1", Settings: bag}, "kept", bag},
		{"old charm, follower", world{Peer: "peer:1", Settings: bag}, "kept", nil},
		{"old charm, no peer relation", world{Leader: true, Settings: bag}, "kept", nil},
		{"own state, leader", world{Leader: true, Peer: "peer:1", State: bag}, "kept", bag},
		{"own state, still no peer relation", world{Leader: true, State: bag}, "kept", nil},
		{"own state, leader no more", world{Peer: "peer:1", State: bag}, "", nil},
		{"Juju 4", world{Leader: true, Peer: "peer:1", Juju4: true}, "", nil},
		{"Juju 4, own state", world{Leader: true, Peer: "peer:1", Juju4: true, State: bag}, "kept", bag},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t, test.start)
			got, err := unit(t).Shared(t.Context(), "http-secret")
			if err != nil || got != test.want {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
			if diff := cmp.Diff(test.databag, now(t).Databag); diff != "" {
				t.Error(diff)
			}
			before := len(now(t).Calls)
			if again, err := unit(t).Shared(t.Context(), "http-secret"); err != nil || again != got {
				t.Errorf("second time %q, %v", again, err)
			}
			if calls := len(now(t).Calls) - before; test.databag != nil && calls > 2 {
				t.Errorf("%d calls for a setting that is shared, want at most 2", calls)
			}
		})
	}
}

// TestSetShared checks that a secret is never an argument: /proc/*/cmdline is
// readable by every user of the machine.
func TestSetShared(t *testing.T) {
	const secret = "s3cr3t: \"quoted\"\n<&>"
	for _, peer := range []string{"", "peer:1"} {
		begin(t, world{Leader: true, Peer: peer})
		u := unit(t)
		if err := u.SetShared(t.Context(), "http-secret", secret); err != nil {
			t.Fatal(err)
		}
		if got, err := u.Shared(t.Context(), "http-secret"); err != nil || got != secret {
			t.Errorf("peer %q: %q, %v", peer, got, err)
		}
		if calls := strings.Join(now(t).Calls, "\n"); strings.Contains(calls, "s3cr3t") {
			t.Errorf("secret in an argument:\n%s", calls)
		}
	}
}

func TestErrors(t *testing.T) {
	begin(t, world{
		Status:  []string{"active", ""},
		Errors:  map[string]string{"is-leader": "connection refused", "juju-log": ""},
		Answers: map[string]string{"config-get": `{"auth-basic-password": "s3cr3t`, "opened-ports": `["s3cr3t/tcp"]`, "status-get": `["s3cr3t"]`},
	})
	u := unit(t)
	_, leader := u.Leader(t.Context())
	_, options := u.Options(t.Context())
	_, status := u.Status(t.Context())
	for _, test := range []struct {
		err  error
		want string
	}{
		{leader, "cannot run is-leader: connection refused"},
		{options, "cannot read the answer of config-get: JSON ends too early"},
		{status, "cannot read the answer of status-get: JSON of another type than expected at byte 1"},
		{tell(t.Context(), "juju-log", "text"), "cannot run juju-log: exit status 1"},
		{tell(t.Context(), "no-such-tool"), "cannot run no-such-tool: no such hook tool"},
	} {
		if text(test.err) != test.want {
			t.Errorf("%v\nwant %s", test.err, test.want)
		}
	}
	if err := tell(t.Context(), "no-such-tool"); !errors.Is(err, errNoTool) {
		t.Errorf("%v is not errNoTool", err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
