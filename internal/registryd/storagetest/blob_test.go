package storagetest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

const (
	kibibyte = 1 << 10
	mebibyte = 1 << 20
	gibibyte = 1 << 30
)

// pageSize is the unit in which the content of blobs is made.
const pageSize = mebibyte

// blob is content of any size that takes no memory: pages that differ in the number that they begin with.
type blob struct {
	page   []byte
	size   int64
	digest string
}

// newBlob makes a blob; those of another seed have nothing in common with it.
func newBlob(t *testing.T, seed byte, size int64) blob {
	t.Helper()
	b := blob{page: make([]byte, pageSize), size: size}
	_, _ = rand.NewChaCha8([32]byte{seed, byte(size), byte(size >> 20)}).Read(b.page) // it never fails
	digest := sha256.New()
	if _, err := io.Copy(digest, b.content(0, size)); err != nil {
		t.Fatal(err)
	}
	b.digest = "sha256:" + hex.EncodeToString(digest.Sum(nil))
	return b
}

// smallBlob makes a blob that is a fraction of a page.
func smallBlob(number int) blob {
	content := []byte(strings.Repeat(fmt.Sprintf("blob %d\n", number), 100))
	return blob{page: content, size: int64(len(content)), digest: digestOf(content)}
}

func (b blob) hex() string { return strings.TrimPrefix(b.digest, "sha256:") }

// content reads the bytes from one offset up to another.
func (b blob) content(from, to int64) io.Reader { return &blobReader{b, from, to} }

type blobReader struct {
	blob     blob
	from, to int64
}

func (r *blobReader) Read(p []byte) (int, error) {
	if r.from >= r.to {
		return 0, io.EOF
	}
	var number [8]byte
	page, at := r.from/pageSize, r.from%pageSize
	binary.LittleEndian.PutUint64(number[:], uint64(page))
	source := r.blob.page[at:]
	if at < int64(len(number)) && len(r.blob.page) == pageSize {
		source = number[at:]
	}
	n := copy(p[:min(int64(len(p)), r.to-r.from)], source)
	r.from += int64(n)
	return n, nil
}
