package serve

import (
	"fmt"

	"golang.org/x/sys/unix"

	"docker-registry-operator/internal/registryd/rawfile"
)

// tree is the directory below which distribution keeps everything. Paths are made of names that parsePull let
// through and of nothing else. They are resolved anew at each request and through symbolic links, as distribution
// does: an operator may have put blobs on another disk.
type tree string

func (t tree) blobLink(repository, hex string) string {
	return string(t) + "/repositories/" + repository + "/_layers/sha256/" + hex + "/link"
}

func (t tree) revisionLink(repository, hex string) string {
	return string(t) + "/repositories/" + repository + "/_manifests/revisions/sha256/" + hex + "/link"
}

func (t tree) tagLink(repository, tag string) string {
	return string(t) + "/repositories/" + repository + "/_manifests/tags/" + tag + "/current/link"
}

func (t tree) data(hex string) string {
	return string(t) + "/blobs/sha256/" + hex[:2] + "/" + hex + "/data"
}

// readLink returns the hex digits of the sha256 that the link at path holds. A link is opened, not only looked
// at, because it is the opening that makes a network file system ask its server.
func readLink(path string) (string, error) {
	fd, err := rawfile.Descriptor(path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	var buffer [len(algorithm) + hexLength + 1]byte
	n, err := unix.Read(fd, buffer[:])
	if err != nil {
		return "", fmt.Errorf("cannot read %q: %w", path, err)
	}
	if n != len(buffer)-1 || string(buffer[:len(algorithm)]) != algorithm || !validHex(string(buffer[len(algorithm):n])) {
		return "", fmt.Errorf("cannot understand link %q", path)
	}
	return string(buffer[len(algorithm):n]), nil
}

// checkLink makes sure that the link at path leads to hex.
func checkLink(path, hex string) error {
	linked, err := readLink(path)
	if err != nil {
		return err
	}
	if linked != hex {
		return fmt.Errorf("cannot follow link %q to %s%s", path, algorithm, linked)
	}
	return nil
}
