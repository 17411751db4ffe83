package pack

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/juju/charm/v12"

	"docker-registry-operator/actions"
	"docker-registry-operator/hooks"
)

// standIn writes a file that is a program by its header only.
func standIn(t *testing.T, machine elf.Machine) string {
	t.Helper()
	header := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Ehsize: 64, Phentsize: 56, Shentsize: 64,
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.EV_CURRENT)
	header.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	var order binary.ByteOrder = binary.LittleEndian
	if machine == elf.EM_S390 {
		header.Ident[elf.EI_DATA], order = byte(elf.ELFDATA2MSB), binary.BigEndian
	}
	var content bytes.Buffer
	if err := binary.Write(&content, order, header); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, content.Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func fake(t *testing.T, arch string) Charm {
	t.Helper()
	binary := standIn(t, machines()[arch])
	return Charm{
		Root: "../..", Arch: arch, Dispatch: binary, Registry: binary,
		Hooks: hooks.Names(), Actions: actions.Names(), Version: "test",
	}
}

// TestArchitectures has Juju's own code read the charm of each architecture.
func TestArchitectures(t *testing.T) {
	for arch := range machines() {
		t.Run(arch, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "out", "docker-registry_"+arch+".charm")
			if err := fake(t, arch).File(name); err != nil {
				t.Fatal(err)
			}
			packed, err := charm.ReadCharmArchive(name)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, base := range packed.Manifest().Bases {
				got = append(got, base.String())
			}
			want := []string{"ubuntu@22.04/stable on " + arch, "ubuntu@24.04/stable on " + arch}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if err := charm.CheckMeta(packed); err != nil {
				t.Error(err)
			}
			if format := charm.MetaFormat(packed); format != charm.FormatV2 {
				t.Errorf("format %v, want %v", format, charm.FormatV2)
			}
			checkHooks(t, packed)
		})
	}
}

// checkHooks compares the hooks that Juju may run for these endpoints with those
// that the charm answers.
func checkHooks(t *testing.T, packed *charm.CharmArchive) {
	t.Helper()
	members, err := packed.ArchiveMembers()
	if err != nil {
		t.Fatal(err)
	}
	// What concerns machines and endpoints, and secrets that those name; the charm asks
	// for no metrics, workloads, payloads or pebble checks and owns no secrets.
	for hook := range packed.Meta().Hooks() {
		asked := strings.Contains(hook, "-relation-") || strings.Contains(hook, "-storage-") || slices.Contains([]string{
			"install", "start", "config-changed", "upgrade-charm", "stop", "remove", "leader-elected",
			"leader-settings-changed", "update-status", "pre-series-upgrade", "post-series-upgrade", "secret-changed",
		}, hook)
		if asked != members.Contains("hooks/"+hook) {
			t.Errorf("hook %s: may be run: %v, packed: %v", hook, asked, !asked)
		}
	}
	for _, member := range members.Values() {
		if hook, isHook := strings.CutPrefix(member, "hooks/"); isHook && !packed.Meta().Hooks()[hook] {
			t.Errorf("packed hook %s, which Juju does not run", hook)
		}
	}
	for action := range packed.Actions().ActionSpecs {
		if !members.Contains("actions/" + action) {
			t.Errorf("action %s is not packed", action)
		}
	}
}

func TestRefusals(t *testing.T) {
	foreign := standIn(t, elf.EM_AARCH64)
	text := filepath.Join("..", "..", "metadata.yaml")
	for _, test := range []struct {
		name   string
		change func(*Charm)
		want   string
	}{
		{"foreign charm", func(c *Charm) { c.Dispatch = foreign },
			"cannot pack charm for amd64: " + foreign + " is a program for EM_AARCH64, not for amd64"},
		{"foreign registry", func(c *Charm) { c.Registry = foreign },
			"cannot pack charm for amd64: " + foreign + " is a program for EM_AARCH64, not for amd64"},
		{"unknown architecture", func(c *Charm) { c.Arch = "mips" },
			`cannot pack charm for mips: architecture "mips" is none of amd64, arm64, s390x`},
		{"no program", func(c *Charm) { c.Registry = text },
			"cannot pack charm for amd64: " + text + " is not a program: bad magic number '[110 97 109 101]' in record at byte 0x0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			c := fake(t, "amd64")
			test.change(&c)
			if err := c.File(filepath.Join(dir, "x.charm")); err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}

// TestUnreadable holds that a charm that Juju cannot read does not replace one that
// it can.
func TestUnreadable(t *testing.T) {
	c := fake(t, "amd64")
	c.Root = t.TempDir()
	for _, name := range []string{"metadata.yaml", "config.yaml", "actions.yaml", "LICENSE", "README.md"} {
		if err := os.WriteFile(filepath.Join(c.Root, name), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "x.charm")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.File(name); err == nil {
		t.Error("a charm without a name was packed")
	}
	if content, err := os.ReadFile(name); err != nil || string(content) != "old" {
		t.Errorf("left %q, %v", content, err)
	}
}

// TestSameBytes builds and packs the charm twice, for this machine, and runs what
// Juju unpacks.
func TestSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the charm and the registry")
	}
	c := fake(t, "amd64")
	if c.Arch = runtime.GOARCH; machines()[c.Arch] == 0 {
		t.Skipf("the charm is not packed for %s", c.Arch)
	}
	dir := t.TempDir()
	var packed [2][]byte
	for i := range packed {
		c.Dispatch, c.Registry = build(t, "charm"), build(t, "registry")
		name := filepath.Join(dir, "x.charm")
		if err := c.File(name); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		packed[i] = content
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Error("packing the same source twice gives different bytes")
	}
	archive, err := charm.ReadCharmArchive(filepath.Join(dir, "x.charm"))
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(dir, "unit")
	if err := archive.ExpandTo(unit); err != nil {
		t.Fatal(err)
	}
	checkUnpacked(t, unit)
}

func build(t *testing.T, command string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), command)
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", name, "../../cmd/"+command)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build %s: %v\n%s", command, err, output)
	}
	return name
}

func checkUnpacked(t *testing.T, unit string) {
	t.Helper()
	for _, name := range append(hooks.Names(), "../actions/push") {
		if target, err := os.Readlink(filepath.Join(unit, "hooks", name)); err != nil || target != "../dispatch" {
			t.Errorf("%s links to %q, %v", name, target, err)
		}
	}
	for _, name := range []string{"dispatch", "registry", "hooks/install"} {
		if info, err := os.Stat(filepath.Join(unit, name)); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s: %v, %v; want it executable", name, info, err)
		}
	}
	digest, err := exec.CommandContext(t.Context(), "sha256sum", filepath.Join(unit, "registry")).Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(unit, "registry.sha256"))
	if err != nil || !strings.HasPrefix(string(digest), strings.TrimSpace(string(want))) || len(want) != 65 {
		t.Errorf("registry.sha256 is %q, %v; want %s", want, err, digest)
	}
	hook := exec.CommandContext(t.Context(), filepath.Join(unit, "hooks", "install"))
	hook.Env = []string{"JUJU_DISPATCH_PATH=hooks/nosuch", "JUJU_UNIT_NAME=docker-registry/0", "JUJU_CHARM_DIR=" + unit}
	hook.Dir = unit
	output, err := hook.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(string(output), `"nosuch"`) {
		t.Errorf("a hook that the charm does not have: %v\n%s", err, output)
	}
	if _, err := os.Stat(filepath.Join(unit, "manifest.yaml")); errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
