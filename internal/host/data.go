package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"docker-registry-operator/internal/desired"
)

// Data is a directory of images.
type Data struct {
	dir    string
	cursor string
	user   desired.Identity
}

// NewData is a directory of images, which user is to own. What is known of it is recorded
// in the layout's state directory.
func NewData(layout desired.Layout, dir string, user desired.Identity) *Data {
	return &Data{dir: dir, cursor: filepath.Join(layout.State(), "takeover.json"), user: user}
}

// Prepare makes the directory, closed to others, if it is not there.
func (d *Data) Prepare() error {
	if _, err := os.Stat(d.dir); !errors.Is(err, fs.ErrNotExist) {
		return failed("read", d.dir, err)
	}
	return ensureDir(d.dir, 0o750, d.user)
}

// Foreign says that files in the directory may belong to somebody else than the
// user, so that [Data.TakeOver] has work to do. It looks at the directory alone, which
// is the last that a takeover changes. A directory that is not there is not foreign.
func (d *Data) Foreign() (bool, error) {
	info, err := os.Stat(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, failed("read", d.dir, err)
	}
	return ownerOf(info).UID != d.user.UID, nil
}
