package swift

import (
	"io"
	"testing"
)

func TestBuffer(t *testing.T) {
	for _, size := range []int{0, 1, blockSize - 1, blockSize, blockSize + 1, 3*blockSize + 17} {
		b := newBuffer()
		text := content(size)
		for rest := text; rest != ""; {
			n := b.write([]byte(rest[:min(len(rest), 70001)]), 4*blockSize)
			rest = rest[n:]
		}
		got := b.body()
		if want := wholeOf([]byte(text)); got.size != want.size || got.etag != want.etag {
			t.Errorf("%d bytes: body of %d bytes, %s, want %s", size, got.size, got.etag, want.etag)
		}
		reader := got.open()
		for range 2 {
			read, err := io.ReadAll(reader)
			check(t, err)
			if string(read) != text {
				t.Errorf("%d bytes: read %d others", size, len(read))
			}
			_, err = reader.Seek(0, io.SeekStart)
			check(t, err)
		}
		b.free()
	}
}

func TestBufferTakesNoMoreThanItsLimit(t *testing.T) {
	b := newBuffer()
	defer b.free()
	if n := b.write([]byte(content(100)), 30); n != 30 {
		t.Errorf("took %d bytes, want 30", n)
	}
	if n := b.write([]byte(content(100)), 30); n != 0 {
		t.Errorf("took %d bytes more, want 0", n)
	}
}
