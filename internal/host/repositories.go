package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"docker-registry-operator/internal/desired"
)

// Bounds of counting: how many repositories tell that there are many, and how many
// directories are looked into for them. That takes a second on a cold disk.
const (
	repositoryLimit = 1000
	directoryLimit  = 10 * repositoryLimit
)

// errEnough ends a count at its bounds.
var errEnough = errors.New("enough")

// Repositories counts those that a directory of images holds. Of one that is not there,
// as on a disk that is not mounted, they are not known.
func Repositories(dir string) desired.Count {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return desired.Count{}
	}
	count, looked := desired.Count{Known: true}, 0
	err := filepath.WalkDir(repositories(dir), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		case looked == directoryLimit:
			return errEnough
		case entry.Name() != "_manifests":
			looked++
			if strings.HasPrefix(entry.Name(), "_") {
				return fs.SkipDir
			}
			return nil
		case count.Repositories == repositoryLimit:
			return errEnough
		}
		count.Repositories++
		return fs.SkipDir
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return count
	case errors.Is(err, errEnough):
		count.More = true
	case err != nil:
		return desired.Count{}
	}
	return count
}

// HasRepositories says that a directory of images has any, without counting them. One
// that cannot be read may have some.
func HasRepositories(dir string) bool {
	top, err := os.Open(repositories(dir))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer top.Close()
	names, _ := top.Readdirnames(1)
	return len(names) > 0
}

// repositories is where distribution keeps them.
func repositories(dir string) string { return filepath.Join(dir, "docker/registry/v2/repositories") }

// Repositories counts those that a directory of images holds.
func (m *Machine) Repositories(dir string) desired.Count { return Repositories(dir) }

// HasRepositories says that a directory of images has any, without counting them.
func (m *Machine) HasRepositories(dir string) bool { return HasRepositories(dir) }
