package swift

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
)

// metadata is the extended attribute in which the object server keeps a pickled dictionary. xattrSize is
// what ext4 keeps of it at most.
const metadata, xattrSize = "user.swift.metadata", 4 << 10

// DataFiles are the files on the disk that hold the bytes of objects, by the names of these: account,
// container and object, each behind a slash. A large object has a file for each segment.
func (s *Server) DataFiles() (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(s.path("srv", disk, "objects"), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // there is no object, or the server has just replaced one
		}
		if err != nil || filepath.Ext(path) != ".data" {
			return err
		}
		name, err := objectName(path)
		found[name] = path
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list files of objects: %w", err)
	}
	return found, nil
}

// objectName reads the name of the object from the file's metadata. In a pickle of protocol 2 a string
// follows its length in four bytes.
func objectName(path string) (string, error) {
	pickle := make([]byte, xattrSize)
	n, err := syscall.Getxattr(path, metadata, pickle)
	if err != nil {
		return "", fmt.Errorf("cannot read metadata of %s: %w", path, err)
	}
	pickle = pickle[:n]
	at := bytes.Index(pickle, []byte("/AUTH_"))
	if at < 4 {
		return "", fmt.Errorf("cannot read metadata of %s: no name in it", path)
	}
	size := int(binary.LittleEndian.Uint32(pickle[at-4 : at]))
	if size > len(pickle)-at {
		return "", fmt.Errorf("cannot read metadata of %s: the name is cut", path)
	}
	return string(pickle[at : at+size]), nil
}
