// Package debian makes what a test needs of a distribution: the file system of a minimal machine that
// boots systemd, and archives of packages that machines without internet can install from. Machines
// themselves are package machine's.
package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"docker-registry-operator/tests/engine/process"
)

// A System is the same for all tests, which must not write to it.
type System struct {
	// Root is a directory with the file system of a minimal machine. It has no source of packages.
	Root string

	// Archive is a directory with the Docker Engine's package, all that it needs beyond Root, and their
	// index: a flat archive for APT.
	Archive string
}

// ErrUnavailable says that the host cannot make a system.
var ErrUnavailable = errors.New("cannot make a Debian system here")

// Engine is the package of the Docker Engine.
const Engine = "docker.io"

// included are the packages that Root has beyond those of a minimal system. Machines are looked at with
// procps.
var included = []string{"systemd", "systemd-sysv", "dbus", "procps", "ca-certificates"}

// Make makes a system of the host's release, from where the host has its packages from, or takes the
// one that an earlier call left below dir. The error is [ErrUnavailable] without root, debootstrap or a
// host with APT.
func Make(ctx context.Context, dir string) (System, error) {
	from, err := findMirror(ctx)
	if err != nil {
		return System{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return System{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return System{}, err
	}
	unlock, err := process.Lock(filepath.Join(dir, ".debian.lock"))
	if err != nil {
		return System{}, err
	}
	defer unlock()
	// The go command passes by directories that begin with a dot.
	home := filepath.Join(dir, ".debian-"+from.digest())
	if _, err := os.Stat(home); err == nil {
		return systemIn(home), nil
	}
	return systemIn(home), makeIn(ctx, home, from)
}

func systemIn(home string) System {
	return System{Root: filepath.Join(home, "root"), Archive: filepath.Join(home, "archive")}
}

// makeIn makes the system beside home, and gives it its name when it is complete.
func makeIn(ctx context.Context, home string, from mirror) error {
	unfinished := filepath.Join(filepath.Dir(home), ".debian-unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	system := systemIn(unfinished)
	if err := os.MkdirAll(system.Archive, 0o755); err != nil {
		return err
	}
	err := run(ctx, "debootstrap", "--variant=minbase", "--include="+strings.Join(included, ","),
		from.release, system.Root, from.url)
	if err != nil {
		return err
	}
	if err := system.download(ctx, filepath.Join(unfinished, "apt")); err != nil {
		return err
	}
	if err := system.settle(); err != nil {
		return err
	}
	return os.Rename(unfinished, home)
}

// download fetches the engine's packages with the host's APT, as if it were the system's.
func (s System) download(ctx context.Context, work string) error {
	state, cache := filepath.Join(work, "state"), filepath.Join(work, "cache")
	for _, dir := range []string{filepath.Join(state, "lists", "partial"), filepath.Join(cache, "archives", "partial")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	as := []string{
		"--yes", "--quiet", "-o", "Dir=" + s.Root, "-o", "Dir::State=" + state, "-o", "Dir::Cache=" + cache,
		"-o", "Dir::State::status=" + filepath.Join(s.Root, "var/lib/dpkg/status"), "-o", "APT::Sandbox::User=root",
	}
	if err := run(ctx, "apt-get", append(slices.Clone(as), "update")...); err != nil {
		return err
	}
	if err := run(ctx, "apt-get", append(slices.Clone(as), "--download-only", "--no-install-recommends", "install", Engine)...); err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(cache, "archives", "*.deb"))
	if err != nil {
		return err
	}
	for _, path := range packages {
		if err := os.Rename(path, filepath.Join(s.Archive, filepath.Base(path))); err != nil {
			return err
		}
	}
	return errors.Join(Index(ctx, s.Archive), os.RemoveAll(work))
}

// settle takes from the root what a machine must not have: a way to packages, an identity that others
// have too, and a terminal that is not there.
func (s System) settle() error {
	console := filepath.Join(s.Root, "etc/systemd/system/console-getty.service")
	return errors.Join(
		os.WriteFile(filepath.Join(s.Root, "etc/apt/sources.list"), nil, 0o644),
		os.WriteFile(filepath.Join(s.Root, "etc/machine-id"), nil, 0o644),
		os.Symlink("/dev/null", console),
	)
}

// A mirror is where the host has its packages from.
type mirror struct{ url, release string }

// digest stands for all that makes one system differ from another.
func (m mirror) digest() string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{"1", m.url, m.release, Engine}, included...), "\n")))
	return hex.EncodeToString(sum[:6])
}

func findMirror(ctx context.Context) (mirror, error) {
	if os.Getuid() != 0 {
		return mirror{}, errors.New("root is needed")
	}
	for _, program := range []string{"debootstrap", "dpkg-deb", "apt-get"} {
		if _, err := exec.LookPath(program); err != nil {
			return mirror{}, err
		}
	}
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(COMPONENT) $(RELEASE) $(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		return mirror{}, fmt.Errorf("cannot ask apt-get for its sources: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		// Updates of a release are called bookworm-updates or bookworm-security.
		if len(fields) == 3 && fields[0] == "main" && !strings.ContainsAny(fields[1], "-/") {
			return mirror{release: fields[1], url: fields[2]}, nil
		}
	}
	return mirror{}, errors.New("apt-get has no source of a whole release")
}

func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot run %s: %w\n%s", name, err, out[max(0, len(out)-2000):])
	}
	return nil
}
