package relations

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/juju"
)

// nagiosDirs are where checks go, if they are there.
func nagiosDirs() []string { return []string{"/etc/nagios/nrpe.d", "/var/lib/nagios/export"} }

// places are where a unit may leave something.
func places() []string {
	return append(nagiosDirs(),
		"/etc/docker", "/var/lib/docker-registry", "/etc/ssl/certs", "/usr/local/share/ca-certificates",
		"/etc/systemd/system", "/srv/registry")
}

// A snapshot is all of a unit that may not depend on a relation it once had: what is where, and what it
// tells. Each entry has a name.
type snapshot map[string]string

// look takes a snapshot of every unit.
func (s *site) look() map[string]snapshot {
	s.t.Helper()
	all := map[string]snapshot{}
	for _, u := range s.app.Units() {
		seen := snapshot{
			"status": u.Status().String(), "version": u.WorkloadVersion(),
			"ports": strings.Join(u.OpenedPorts(), " "), "state": fmt.Sprint(u.CharmState()),
			"leader settings": fmt.Sprint(s.app.LeaderSettings()),
		}
		for _, r := range s.app.Relations() {
			for _, name := range []string{u.Name(), s.app.Name()} {
				for key, value := range r.Get(name) {
					seen[fmt.Sprintf("databag %s of %s: %s", r.ID(), name, key)] = value
				}
			}
		}
		for _, place := range places() {
			s.must(seen.addFiles(u, place))
		}
		all[u.Name()] = seen
	}
	return all
}

// transient are files whose content tells what a registry has done, not what it is.
func transient(path string) bool {
	return strings.HasPrefix(path, "/var/lib/docker-registry/log/") || strings.HasSuffix(path, "/stderr")
}

// addFiles adds what is below a directory of the unit's machine. A file that goes while it looks is not
// there.
func (s snapshot) addFiles(u *juju.Unit, dir string) error {
	root := u.Machine().Path("/")
	return filepath.WalkDir(u.Machine().Path(dir), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name := "/" + strings.TrimPrefix(path, root)
		name = "/" + strings.TrimLeft(name, "/")
		owner := info.Sys().(*syscall.Stat_t).Uid
		text := fmt.Sprintf("%s of %d", info.Mode(), owner)
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " to " + target
		case info.Mode().IsRegular() && !transient(name) && info.Size() < maxText:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += "\n" + string(content)
		}
		s[name] = text
		return nil
	})
}

// maxText is the size of files that are compared as they are; larger ones are programs.
const maxText = 1 << 20

// wantSame wants all units to be as they were.
func (s *site) wantSame(before map[string]snapshot) {
	s.t.Helper()
	if diff := cmp.Diff(before, s.look()); diff != "" {
		s.t.Errorf("before and after differ (-before +after):\n%s", diff)
	}
}
