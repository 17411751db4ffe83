package host

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"docker-registry-operator/internal/desired"
)

// disk is what Files does to a file system, one step each, so that a test can let
// any of them be the last one before a crash.
type disk interface {
	// stage writes a whole new file beside path, durable and with mode and owner.
	stage(path string, content []byte, mode os.FileMode, user desired.Identity) error
	// commit puts what was staged in path's place.
	commit(path string) error
	// unstage forgets what was staged for path; nothing staged is no error.
	unstage(path string) error
	// link gives old a second name; it fails with fs.ErrExist if that is taken.
	link(old, new string) error
	rename(old, new string) error
	// remove removes a file or an empty directory; one that is gone is no error.
	remove(path string) error
	mkdir(path string, mode os.FileMode) error
	// settle makes changes of a directory durable.
	settle(dir string) error
}

// osDisk is the machine's own file system.
type osDisk struct{}

// staged is where a file waits for its commit. The name is always the same, so that
// what a crash left is overwritten by the next attempt instead of piling up.
func staged(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".docker-registry-new")
}

func (d osDisk) stage(path string, content []byte, mode os.FileMode, user desired.Identity) error {
	temp := staged(path)
	if err := d.remove(temp); err != nil {
		return err
	}
	// O_EXCL also refuses a symbolic link that somebody put there in the meantime.
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(fill(file, content, mode, user), file.Close())
	if err != nil {
		return errors.Join(err, d.remove(temp))
	}
	return nil
}

// fill writes content, then gives the file away, then opens it to others: in another
// order somebody could read it for a moment.
func fill(file *os.File, content []byte, mode os.FileMode, user desired.Identity) error {
	if _, err := file.Write(content); err != nil {
		return err
	}
	if user != owner() {
		if err := file.Chown(user.UID, user.GID); err != nil {
			return err
		}
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	return file.Sync()
}

func (osDisk) commit(path string) error     { return os.Rename(staged(path), path) }
func (d osDisk) unstage(path string) error  { return d.remove(staged(path)) }
func (osDisk) link(old, new string) error   { return os.Link(old, new) }
func (osDisk) rename(old, new string) error { return os.Rename(old, new) }
func (osDisk) mkdir(path string, mode os.FileMode) error {
	if err := os.Mkdir(path, mode); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

func (osDisk) remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

func (osDisk) settle(dir string) error {
	file, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

const errIsDir = syscall.EISDIR

// found is what stands at a path.
type found struct {
	exists  bool
	content []byte // nil if it is no regular file
	regular bool
	mode    os.FileMode
	user    desired.Identity
}

// equal says that two looks at a path found the same.
func (f found) equal(other found) bool {
	return f.exists == other.exists && f.regular == other.regular && f.mode == other.mode &&
		f.user == other.user && bytes.Equal(f.content, other.content)
}

// look reads what stands at path, without following a symbolic link. A directory is
// an error: it can be neither replaced nor kept.
func look(path string) (found, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found{}, nil
	case err != nil:
		return found{}, err
	case info.IsDir():
		return found{}, errIsDir
	case !info.Mode().IsRegular():
		return found{exists: true}, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return found{}, err
	}
	return found{exists: true, content: content, regular: true, mode: info.Mode().Perm(), user: ownerOf(info)}, nil
}

// ownerOf is the numeric owner of a file.
func ownerOf(info fs.FileInfo) desired.Identity {
	stat := info.Sys().(*syscall.Stat_t)
	return desired.Identity{UID: int(stat.Uid), GID: int(stat.Gid)}
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}
