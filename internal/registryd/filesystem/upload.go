package filesystem

import (
	"path"
	"path/filepath"
	"strings"
)

// An upload is a directory in which distribution keeps what a client has sent so far, until it is a blob.
// https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/paths.go
type upload struct {
	dir  string // as a path of the driver
	file string // within dir
}

const (
	uploads = "/_uploads/"
	// startedAt has the time at which the upload began. Without it the upload is unknown.
	startedAt = "startedat"
	// data has the bytes.
	data = "data"
	// hashStates has the states of the digest at offsets, which are the names of files. Where there is none
	// distribution reads the bytes again.
	hashStates = "hashstates"
)

// uploadOf is the upload that path is in.
func uploadOf(path string) (upload, bool) {
	repository, rest, ok := strings.Cut(path, uploads)
	if !ok {
		return upload{}, false
	}
	id, file, _ := strings.Cut(rest, "/")
	return upload{dir: repository + uploads + id, file: file}, true
}

// isHashState says that the file is the state of a digest, or a directory of states.
func (u upload) isHashState() bool { return strings.HasPrefix(u.file, hashStates) }

// isFirst says that the file is the state of a digest of nothing, which nobody reads.
func (u upload) isFirst() bool { return u.isHashState() && path.Base(u.file) == "0" }

// remove deletes an upload or a part of it. Mostly there is only the file that tells when it began: the bytes
// have become a blob.
func (u upload) remove(full string) error {
	if u.file == "" {
		if err := removeAny(filepath.Join(full, startedAt)); err != nil {
			return err
		}
	}
	return remove(full)
}
