package swift

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"hash"
	"io"
	"sync"
)

// blockSize is the unit in which memory for uploads is taken and given back, in bytes.
const blockSize = 1 << 20

var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

// buffer holds what was written until it makes a segment.
type buffer struct {
	blocks []*[blockSize]byte
	size   int
	digest hash.Hash
}

func newBuffer() *buffer { return &buffer{digest: md5.New()} }

// write takes from p as much as fits until the buffer holds limit bytes.
func (b *buffer) write(p []byte, limit int) int {
	p = p[:min(len(p), limit-b.size)]
	taken := len(p)
	b.digest.Write(p)
	for len(p) > 0 {
		if b.size == len(b.blocks)*blockSize {
			b.blocks = append(b.blocks, blocks.Get().(*[blockSize]byte))
		}
		n := copy(b.blocks[len(b.blocks)-1][b.size%blockSize:], p)
		b.size += n
		p = p[n:]
	}
	return taken
}

// body is what the buffer holds. It is of no use any more after free.
func (b *buffer) body() body {
	return body{
		size: int64(b.size),
		etag: hex.EncodeToString(b.digest.Sum(nil)),
		open: func() io.ReadSeeker { return &blockReader{blocks: b.blocks, size: int64(b.size)} },
	}
}

// free gives the buffer's memory back.
func (b *buffer) free() {
	for _, block := range b.blocks {
		blocks.Put(block)
	}
	b.blocks = nil
}

// body is the content of a new object: its size in bytes, its MD5 in hex, and a reader of
// it for each attempt to send it.
type body struct {
	size int64
	etag string
	open func() io.ReadSeeker
}

func wholeOf(content []byte) body {
	sum := md5.Sum(content)
	return body{
		size: int64(len(content)),
		etag: hex.EncodeToString(sum[:]),
		open: func() io.ReadSeeker { return bytes.NewReader(content) },
	}
}

type blockReader struct {
	blocks       []*[blockSize]byte
	offset, size int64
}

func (r *blockReader) Read(p []byte) (int, error) {
	if r.offset == r.size {
		return 0, io.EOF
	}
	block := r.blocks[r.offset/blockSize][r.offset%blockSize:]
	n := copy(p, block[:min(int64(len(block)), r.size-r.offset)])
	r.offset += int64(n)
	return n, nil
}

// Seek goes back to the beginning, the only place from which a body is sent again.
func (r *blockReader) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return r.offset, io.ErrNoProgress
	}
	r.offset = 0
	return 0, nil
}
