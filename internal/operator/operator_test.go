package operator

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	charm "docker-registry-operator"
	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// defaults are the options of config.yaml that have a default.
func defaults(t *testing.T) config.Options {
	t.Helper()
	var declared struct {
		Options map[string]struct{ Default any }
	}
	if err := yaml.Unmarshal([]byte(charm.Config()), &declared); err != nil {
		t.Fatal(err)
	}
	options := config.Options{}
	for name, option := range declared.Options {
		if option.Default != nil {
			options[name] = option.Default
		}
	}
	return options
}

type world struct {
	*Operator
	unit           *unit
	machine        *machine
	docker, native *engine
}

// fresh is the leader of an application with all defaults, on an empty machine.
func fresh(t *testing.T) world {
	t.Helper()
	w := world{
		unit: &unit{
			leader: true, shared: map[string]string{},
			options: defaults(t),
		},
		machine: &machine{files: map[string][]byte{}, others: map[string][]byte{}, records: map[string]string{}},
		docker:  &engine{}, native: &engine{},
	}
	w.Operator = &Operator{
		Unit: w.unit, Host: w.machine, Docker: w.docker, Native: w.native,
		User: desired.Identity{UID: 65532, GID: 65532},
		Now:  func() time.Time { return time.Unix(1767225600, 0) },
		Log:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	return w
}

func (w world) converge(t *testing.T) desired.Status {
	t.Helper()
	if err := w.Converge(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w.unit.status
}

func TestConvergeDeploysOnce(t *testing.T) {
	w := fresh(t)
	want := desired.Status{Level: desired.Active, Message: "Ready at 10.0.0.5:5000 (http)."}
	if got := w.converge(t); got != want {
		t.Fatalf("status %v, want %v", got, want)
	}
	if len(w.docker.workloads) != 1 || w.unit.version != "v3.1.2" || !slices.Equal(w.unit.ports, []int{5000}) {
		t.Errorf("workloads %v, version %q, ports %v", w.docker.workloads, w.unit.version, w.unit.ports)
	}
	w.unit.did, w.machine.did = nil, nil
	w.converge(t)
	if len(w.docker.workloads) != 1 || len(w.unit.did)+len(w.machine.did) > 0 {
		t.Errorf("the second time: %v %v %v", w.docker.workloads, w.unit.did, w.machine.did)
	}
}

func TestConvergeRunsInTheChosenRuntime(t *testing.T) {
	w := fresh(t)
	w.unit.options["registry-runtime"] = "native"
	w.converge(t)
	if len(w.native.workloads) != 1 || len(w.docker.workloads) != 0 || !slices.Equal(w.docker.retired, []string{"docker-registry/0"}) {
		t.Errorf("native %v, docker %v, retired in docker %v", w.native.workloads, w.docker.workloads, w.docker.retired)
	}
}

// TestConvergeInherits has another runtime asked for together with the refresh: it takes
// over one hook later.
func TestConvergeInherits(t *testing.T) {
	w := fresh(t)
	w.unit.options["registry-runtime"], w.machine.legacy = "native", true
	w.machine.records[stoppedRecord] = "true" // for the way back to the other charm
	w.docker.fail = errors.New("engine is busy")
	if err := w.Operator.Converge(t.Context()); err == nil || slices.Contains(w.machine.did, "bury") {
		t.Fatalf("error %v, done %v; nothing may be removed before a registry serves", err, w.machine.did)
	}
	w.docker.fail = nil
	w.converge(t)
	if len(w.docker.workloads) != 1 || w.docker.workloads[0].Stopped || len(w.native.workloads) != 0 || !slices.Contains(w.machine.did, "bury") {
		t.Errorf("docker %v, native %v, done %v", w.docker.workloads, w.native.workloads, w.machine.did)
	}
	w.converge(t)
	if len(w.native.workloads) != 1 {
		t.Errorf("native %v after the next hook", w.native.workloads)
	}
}

func TestConvergeKeepsAPasswordFileThatVerifies(t *testing.T) {
	w := fresh(t)
	w.unit.options["auth-basic-password"] = "s3cret"
	w.converge(t)
	first := string(w.machine.files["/etc/docker/registry/htpasswd"])
	delete(w.machine.records, "htpasswd-verified")
	w.converge(t)
	if second := string(w.machine.files["/etc/docker/registry/htpasswd"]); second != first || first == "" {
		t.Errorf("password file became %q, was %q", second, first)
	}
	w.unit.options["auth-basic-password"] = "another"
	w.converge(t)
	if third := string(w.machine.files["/etc/docker/registry/htpasswd"]); third == first {
		t.Error("another password left the password file as it was")
	}
}

func TestConvergeKeepsTheSharedSecret(t *testing.T) {
	w := fresh(t)
	w.unit.shared["http-secret"] = "from-the-old-charm"
	w.converge(t)
	if !strings.Contains(string(w.machine.files["/etc/docker/registry/config.yml"]), "secret: from-the-old-charm") {
		t.Error("config.yml has another http.secret")
	}
	if slices.Contains(w.unit.did, "share http-secret") {
		t.Error("a secret that was there was made anew")
	}
}

func TestConvergeTakesOverInOneHookIfItCan(t *testing.T) {
	w := fresh(t)
	w.machine.foreign = true
	w.converge(t)
	var capabilities [][]string
	for _, workload := range w.docker.workloads {
		capabilities = append(capabilities, workload.Capabilities)
	}
	if diff := cmp.Diff([][]string{{"DAC_OVERRIDE"}, nil}, capabilities); diff != "" {
		t.Errorf("capabilities (-want +got):\n%s", diff)
	}
}

// TestConvergeLooksNowhereForAnEmptyPath is about options that an operator emptied: "" is no file,
// and certainly not the root directory.
func TestConvergeLooksNowhereForAnEmptyPath(t *testing.T) {
	for _, option := range []string{"tls-cert-path", "tls-key-path", "tls-ca-path"} {
		w := fresh(t)
		w.machine.denied = "/"
		w.machine.others["/etc/docker/registry/ca.crt"] = []byte("not read without a certificate")
		w.unit.options[option] = ""
		want := desired.Status{Level: desired.Active, Message: "Ready at 10.0.0.5:5000 (http)."}
		if got := w.converge(t); got != want {
			t.Errorf("without %s: status %v, want %v", option, got, want)
		}
	}
}

func TestConvergeSaysWhatItLeaves(t *testing.T) {
	w := fresh(t)
	w.machine.notes = []string{"Restart Docker."}
	if got, want := w.converge(t).Message, "Ready at 10.0.0.5:5000 (http). Restart Docker."; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
}

// TestConvergeTellsOfTheUpstream has a cache that serves what it has, and one hook after
// the upstream is well again nothing is said of it any more.
func TestConvergeTellsOfTheUpstream(t *testing.T) {
	w := fresh(t)
	w.unit.options["cache-remoteurl"] = "https://m"
	w.machine.notes = []string{"Restart Docker."}
	ready := desired.Status{Level: desired.Active, Message: "Ready at 10.0.0.5:5000 (http). Restart Docker."}
	for _, test := range []struct {
		upstream desired.Upstream
		want     desired.Status
	}{
		{desired.Upstream{}, ready},
		{desired.Upstream{Problem: desired.UpstreamUnanswered, Reason: "timed out"}, desired.Status{
			Level:   desired.Active,
			Message: "Ready at 10.0.0.5:5000 (http). Upstream https://m does not answer: timed out. Restart Docker."}},
		{desired.Upstream{Problem: desired.UpstreamUnauthorized}, desired.Status{
			Level: desired.Blocked,
			Message: `Invalid charm config: option "cache-remoteurl": https://m asks for credentials; set "cache-username" and "cache-password". ` +
				"What is cached is served. " + ready.Message}},
		{desired.Upstream{}, ready},
	} {
		w.docker.upstream = test.upstream
		if got := w.converge(t); got != test.want {
			t.Errorf("status %v, want %v", got, test.want)
		}
	}
	if len(w.docker.workloads) != 1 {
		t.Errorf("the registry was changed: %v", w.docker.workloads)
	}
}

// TestConvergeDecidesFate shows that no mistake fails a hook or touches what runs.
func TestConvergeDecidesFate(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(w world)
		want  desired.Status
	}{
		{"options", func(w world) {
			w.unit.options["log-level"], w.unit.options["registry-port"] = "loud", int64(0)
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "log-level": `}},
		{"unreadable file", func(w world) {
			w.machine.denied = "/etc/docker/registry/registry.key"
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "tls-key-path": cannot read /etc/docker/registry/registry.key: permission denied; put a readable file there or choose another path`}},
		{"refused", func(w world) {
			w.docker.fail = &desired.Refused{Reason: "no such driver"}
		}, desired.Status{Level: desired.Blocked, Message: "registry refused its configuration: no such driver"}},
		{"overlay refused", func(w world) {
			w.unit.options["registry-config"] = "catalog: {maxentries: 5}"
			w.docker.fail = &desired.Refused{Reason: "no such driver"}
		}, desired.Status{Level: desired.Blocked, Message: `registry refused its configuration: no such driver; mend or reset option "registry-config" if it asks for that`}},
		{"no region of Amazon", func(w world) {
			w.unit.options["storage-s3-bucket"], w.unit.options["storage-s3-region"] = "images", "eu-north-9"
			w.docker.fail = &desired.Refused{Reason: "invalid region provided: eu-north-9"}
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "storage-s3-region": Amazon S3 has no region "eu-north-9"; set another one, or "storage-s3-regionendpoint" for another service`}},
		{"no user of Swift", func(w world) {
			w.swift("cannot sign in to Swift at https://keystone/v3 as \"u\": Swift answers 401: the user name, password, tenant or domain is wrong")
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "storage-swift-password": Swift does not let the user in: mend this option, the user name, the tenant or a domain`}},
		{"no region of Swift", func(w world) {
			w.swift(`cannot sign in to Swift at https://keystone/v3 as "u": there is no object store in region "none" of the catalogue`)
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "storage-swift-region": Keystone knows no object store in region "none"; set another one, or none`}},
		{"no object store", func(w world) {
			w.swift(`cannot sign in to Swift at https://keystone/v3 as "u": there is no object store in the catalogue`)
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "storage-swift-authurl": Keystone knows no object store for this tenant; set another URL or tenant`}},
		{"no authority of Swift", func(w world) {
			w.swift(`cannot sign in to Swift at https://keystone/v3 as "u": tls: failed to verify certificate: x509: certificate signed by unknown authority`)
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "storage-ca-blob": must hold the authority of Keystone and Swift, whose certificate is not trusted`}},
		{"no host of Swift", func(w world) {
			w.swift(`cannot sign in to Swift at https://keystone/v3 as "u": dial tcp: lookup keystone: no such host`)
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "storage-swift-authurl": there is no such host; set the URL where Keystone or Swift is`}},
		{"Swift is away", func(w world) {
			w.swift(`cannot sign in to Swift at https://keystone/v3 as "u": dial tcp 10.0.0.1:5000: connect: connection refused`)
		}, desired.Status{Level: desired.Blocked, Message: `registry refused its configuration: cannot sign in to Swift at https://keystone/v3 as "u": dial tcp 10.0.0.1:5000: connect: connection refused`}},
		{"a bucket that is gone", func(w world) {
			w.docker.failing = map[string]string{"storagedriver_s3aws": "s3aws: NoSuchBucket"}
		}, desired.Status{Level: desired.Blocked, Message: `storage fails: s3aws: NoSuchBucket; make the bucket, or set option "storage-s3-bucket"`}},
		{"no authorities for Redis", func(w world) {
			w.unit.options["storage-cache"], w.unit.options["storage-redis-addrs"], w.unit.options["storage-redis-tls"] = "redis", "r:6379", true
			w.docker.fail = &desired.Refused{Reason: "redis configuration required to use for layerinfo cache"}
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "storage-ca-blob": must hold the authority of Redis: the registry finds no authorities of the machine that it could know it by`}},
		{"port in use", func(w world) {
			w.docker.fail = &desired.Refused{Reason: "cannot listen on :5000: address already in use"}
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "registry-port": port 5000 is in use by another program; choose another one`}},
		{"name taken", func(w world) {
			w.docker.fail = &desired.NameTaken{Name: "registry"}
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "registry-name": container "registry" exists and is not this unit's; choose another name or remove it`}},
		{"no engine", func(w world) {
			w.docker.fail = desired.ErrNoEngine
		}, desired.Status{Level: desired.Waiting, Message: "waiting for the Docker Engine to answer; see 'systemctl status docker' on the unit"}},
		{"full disk", func(w world) {
			w.docker.fail = errors.Join(
				&fs.PathError{Op: "write", Path: "/etc/docker/registry/config.yml", Err: syscall.ENOSPC}, errors.New("second"))
		}, desired.Status{Level: desired.Blocked, Message: "write /etc/docker/registry/config.yml: no space left on device; free space there, the next hook goes on"}},
		{"full disk of the engine", func(w world) {
			w.docker.fail = errors.New("cannot load registry image: write /var/lib/docker/tmp: no space left on device")
		}, desired.Status{Level: desired.Blocked, Message: "cannot load registry image: write /var/lib/docker/tmp: no space left on device; free space there, the next hook goes on"}},
		{"read-only disk", func(w world) {
			w.docker.fail = &fs.PathError{Op: "write", Path: "/etc/hosts", Err: syscall.EROFS}
		}, desired.Status{Level: desired.Blocked, Message: "write /etc/hosts: read-only file system; make the file system writable"}},
		{"a malformed file", func(w world) {
			w.docker.fail = fmt.Errorf("cannot read /etc/docker/daemon.json: %w: unexpected end", desired.ErrMalformed)
		}, desired.Status{Level: desired.Blocked, Message: "cannot read /etc/docker/daemon.json: file is malformed: unexpected end; mend it, the next hook goes on"}},
		{"a directory in the way", func(w world) {
			w.docker.fail = &fs.PathError{Op: "write", Path: "/etc/docker/registry/htpasswd", Err: syscall.EISDIR}
		}, desired.Status{Level: desired.Blocked, Message: "write /etc/docker/registry/htpasswd: is a directory; move away what stands there"}},
		{"an image that cannot be pulled", func(w world) {
			w.unit.options["registry-image"], w.docker.unpulled = "example.com/none:1", errors.New(`cannot pull "example.com/none:1": not found`)
		}, desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "registry-image": cannot pull "example.com/none:1": not found; choose an image that the unit's Docker Engine can pull, or reset the option for the built-in one`}},
		{"no secret yet", func(w world) {
			w.unit.leader, w.unit.shared = false, map[string]string{}
		}, desired.Status{Level: desired.Waiting, Message: "waiting for the leader to share http-secret"}},
		{"another unit's machine", func(w world) {
			w.machine.records["unit"] = "mirror/3"
		}, desired.Status{Level: desired.Blocked, Message: "unit mirror/3 already keeps a registry on this machine; place this unit on another one"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := fresh(t)
			w.converge(t)
			files, ports := maps.Clone(w.machine.files), slices.Clone(w.unit.ports)
			test.spoil(w)
			got := w.converge(t)
			if got.Level != test.want.Level || !strings.HasPrefix(got.Message, test.want.Message) {
				t.Errorf("status\n%v, want\n%v", got, test.want)
			}
			if len(w.docker.workloads) != 1 || !slices.Equal(ports, w.unit.ports) || len(w.docker.removed) > 0 {
				t.Errorf("what ran was touched: %v, ports %v", w.docker.workloads, w.unit.ports)
			}
			var none *desired.Refused
			if errors.As(w.docker.fail, &none) && !maps.EqualFunc(files, w.machine.files, slices.Equal) {
				t.Error("files were not put back")
			}
		})
	}
}

// swift has the options ask for Swift, which the registry refuses.
func (w world) swift(reason string) {
	for name, value := range map[string]string{"authurl": "https://keystone/v3", "username": "u", "password": "p", "tenant": "t", "region": "none"} {
		w.unit.options["storage-swift-"+name] = value
	}
	w.docker.fail = &desired.Refused{Reason: reason}
}

func TestConvergeFailsOnWhatItDoesNotUnderstand(t *testing.T) {
	w := fresh(t)
	w.docker.fail = errors.New("disk on fire")
	if err := w.Converge(t.Context()); !errors.Is(err, w.docker.fail) {
		t.Errorf("got error %v, want %v", err, w.docker.fail)
	}
}

func TestPauseOutlivesHooks(t *testing.T) {
	w := fresh(t)
	w.converge(t)
	if err := w.Pause(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	want := desired.Status{Level: desired.Blocked, Message: "registry container is stopped."}
	if got := w.converge(t); got != want || len(w.unit.ports) > 0 {
		t.Errorf("status %v, want %v; ports %v", got, want, w.unit.ports)
	}
	if !w.docker.workloads[len(w.docker.workloads)-1].Stopped || len(w.docker.removed) == 0 {
		t.Error("the registry was neither stopped nor removed")
	}
	if err := w.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.unit.status.Level; got != desired.Active {
		t.Errorf("level %q after start", got)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := fresh(t)
		w.converge(t)
		if err := errors.Join(w.Stop(t.Context()), w.Remove(t.Context())); err != nil {
			t.Fatal(err)
		}
		if len(w.unit.ports) > 0 || !w.machine.removed || len(w.docker.removed) == 0 || len(w.native.removed) == 0 {
			t.Errorf("ports %v, host cleared %v, removed %v and %v", w.unit.ports, w.machine.removed, w.docker.removed, w.native.removed)
		}
	})
}

// TestStopLetsProxiesNotice is about a unit that others take the place of. When it stops, it has no relation
// any more.
func TestStopLetsProxiesNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := fresh(t)
		w.converge(t)
		began := time.Now()
		if err := w.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != noticeTime || len(w.docker.removed) == 0 {
			t.Errorf("took %s, want %s; removed %v", took, noticeTime, w.docker.removed)
		}
	})
}

func TestHoldTouchesNothing(t *testing.T) {
	w := fresh(t)
	w.converge(t)
	w.unit.did, w.machine.did = nil, nil
	if err := w.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"status blocked"}, append(w.unit.did, w.machine.did...)); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
}

// TestConvergeClaimsNoVersion is about an image that does not tell its version: what Juju shows must
// not be that of the registry that ran before.
func TestConvergeClaimsNoVersion(t *testing.T) {
	w := fresh(t)
	w.converge(t)
	w.unit.options["registry-image"], w.docker.image = "registry:2", desired.Image{Stock: true, Major: 2}
	w.converge(t)
	if w.unit.version != "" {
		t.Errorf("version %q of an image that tells none", w.unit.version)
	}
}
