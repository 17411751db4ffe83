package filesystem

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"docker-registry-operator/internal/registryd/rawfile"
)

const (
	// manyEntries is from when on a listing is remembered. Fewer are read in less than a millisecond.
	manyEntries = 512
	// largeSize is how large, in bytes, a directory is that one reads at a time: who comes next will find it
	// remembered. Some file systems tell no size; there it is read as often as it is asked for.
	largeSize = 64 << 10
	// maxRemembered bounds the names that are remembered, each of which takes some 50 bytes.
	maxRemembered = 1 << 19
	// quiet is for how long a directory must not have changed before its listing is remembered. The time of
	// a change is told in steps, of 2 s on the coarsest file systems: a later change within the same step
	// would not show.
	quiet = 3 * time.Second
)

// temporary matches the names of files that are being written, by this driver and by distribution's.
var temporary = regexp.MustCompile(`\.([A-Z2-7]{26}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\.tmp$`)

// listings remembers the names in large directories, as long as these do not change.
type listings struct {
	reading sync.Mutex // held while a large directory is read

	mu         sync.Mutex
	remembered map[string]listing
	count      int // of all names
}

type listing struct {
	dir   os.FileInfo
	names []string
}

// of returns the names in a directory in order. The caller must not change them.
func (l *listings) of(dir string) ([]string, error) {
	file, err := rawfile.Open(dir, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	names, err := l.read(file)
	return names, errors.Join(err, file.Close())
}

func (l *listings) read(file *os.File) ([]string, error) {
	if dir, err := file.Stat(); err == nil && dir.Size() >= largeSize {
		if names, ok := l.recall(file.Name(), dir); ok {
			return names, nil
		}
		l.reading.Lock()
		defer l.reading.Unlock()
	}
	began := time.Now()
	dir, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if names, ok := l.recall(file.Name(), dir); ok {
		return names, nil
	}
	names, err := file.Readdirnames(0)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return isTemporary(file.Name(), name) })
	slices.Sort(names)
	if len(names) >= manyEntries && began.Sub(dir.ModTime()) > quiet {
		l.remember(file.Name(), listing{dir, names})
	}
	return names, nil
}

func isTemporary(dir, name string) bool {
	if !strings.HasSuffix(name, ".tmp") || !temporary.MatchString(name) {
		return false
	}
	info, err := os.Lstat(filepath.Join(dir, name))
	return err != nil || info.Mode().IsRegular()
}

func (l *listings) recall(path string, dir os.FileInfo) ([]string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.remembered[path]
	if !ok {
		return nil, false
	}
	if os.SameFile(known.dir, dir) && known.dir.ModTime().Equal(dir.ModTime()) {
		return known.names, true
	}
	l.drop(path)
	return nil, false
}

func (l *listings) remember(path string, known listing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(path)
	if l.remembered == nil || l.count+len(known.names) > maxRemembered {
		l.remembered, l.count = make(map[string]listing), 0
	}
	l.remembered[path] = known
	l.count += len(known.names)
}

func (l *listings) drop(path string) {
	l.count -= len(l.remembered[path].names)
	delete(l.remembered, path)
}
