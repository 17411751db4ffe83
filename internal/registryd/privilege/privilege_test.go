package privilege_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/registryd/privilege"
)

// childEnv makes the test binary the child process of TestDrop.
const childEnv = "REGISTRYD_PRIVILEGE_CHILD"

func TestMain(m *testing.M) {
	if user := os.Getenv(childEnv); user != "" {
		os.Exit(child(user))
	}
	os.Exit(m.Run())
}

func child(user string) int {
	ids, err := privilege.Parse(user)
	if err == nil {
		for range 8 {
			go func() { time.Sleep(time.Second) }()
		}
		err = privilege.Drop(ids)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Printf("%s--\n", status)
	}
	return 0
}

func TestDrop(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("must run as root")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childEnv+"=4321:8765")
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "not supported") {
		t.Skip("test binary is built with cgo")
	}
	if err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	want := map[string]string{
		"Uid": "4321 4321 4321 4321", "Gid": "8765 8765 8765 8765", "Groups": "",
		"CapInh": "0000000000000000", "CapPrm": "0000000000000402", "CapEff": "0000000000000402",
		"CapAmb": "0000000000000000", "NoNewPrivs": "1",
	}
	threads := strings.Split(strings.TrimSuffix(string(out), "--\n"), "--\n")
	if len(threads) < 2 {
		t.Errorf("child had %d threads, want several", len(threads))
	}
	for _, status := range threads {
		if diff := cmp.Diff(want, pick(status, want)); diff != "" {
			t.Errorf("status of a thread (-want +got):\n%s", diff)
		}
	}
}

func pick(status string, keys map[string]string) map[string]string {
	got := make(map[string]string)
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		if _, wanted := keys[key]; wanted {
			got[key] = strings.Join(strings.Fields(value), " ")
		}
	}
	return got
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     privilege.IDs
		err      string
	}{
		{name: "ordinary", in: "1000:1001", want: privilege.IDs{UID: 1000, GID: 1001}},
		{name: "root group", in: "1000:0", want: privilege.IDs{UID: 1000}},
		{name: "root", in: "0:0", err: `cannot read user "0:0": must not be root`},
		{name: "no group", in: "1000", err: `cannot read user "1000": must be UID:GID, two numbers`},
		{name: "empty", in: "", err: `cannot read user "": must be UID:GID, two numbers`},
		{name: "name", in: "www:www", err: `cannot read user "www:www": must be UID:GID, two numbers`},
		{name: "sign", in: "+1:1", err: `cannot read user "+1:1": must be UID:GID, two numbers`},
		{name: "unchanged", in: "4294967295:1", err: `cannot read user "4294967295:1": must be UID:GID, two numbers`},
		{name: "three", in: "1:2:3", err: `cannot read user "1:2:3": must be UID:GID, two numbers`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := privilege.Parse(test.in)
			var text string
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff(test.err, text); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := privilege.Parse("x"); !errors.Is(err, privilege.ErrSyntax) {
		t.Errorf("Parse(x): %v is not ErrSyntax", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"1:1", "", ":", "4294967294:0", "01:2", "٣:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := privilege.Parse(text)
		if err != nil {
			return
		}
		if ids.UID <= 0 || ids.GID < 0 {
			t.Errorf("Parse(%q) = %+v", text, ids)
		}
		again, err := privilege.Parse(fmt.Sprintf("%d:%d", ids.UID, ids.GID))
		if err != nil || again != ids {
			t.Errorf("Parse of its own output: %+v, %v; want %+v", again, err, ids)
		}
	})
}
