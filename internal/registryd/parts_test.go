package registryd

import (
	"bytes"
	"context"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

// recorder notes how much each writer is given at once.
type recorder struct {
	storagedriver.StorageDriver
	sizes []int
}

func (r *recorder) Writer(ctx context.Context, path string, append bool) (storagedriver.FileWriter, error) {
	writer, err := r.StorageDriver.Writer(ctx, path, append)
	return &recordedWriter{writer, r}, err
}

type recordedWriter struct {
	storagedriver.FileWriter
	to *recorder
}

func (w *recordedWriter) Write(p []byte) (int, error) {
	w.to.sizes = append(w.to.sizes, len(p))
	return w.FileWriter.Write(p)
}

func TestPartsAreWrittenInPieces(t *testing.T) {
	const part = 16 * 1000
	below := &recorder{StorageDriver: inmemory.New()}
	driver := newPartDriver(below, configuration.Parameters{"chunksize": part})
	content := make([]byte, 3*part+77)
	for i := range content {
		content[i] = byte(i * 31)
	}
	half := part + 333
	for _, round := range []struct {
		from, to int
		append   bool
	}{{0, half, false}, {half, len(content), true}} {
		writer, err := driver.Writer(t.Context(), "/a", round.append)
		if err != nil {
			t.Fatal(err)
		}
		for rest := content[round.from:round.to]; len(rest) > 0; {
			n := min(len(rest), 171)
			if _, err := writer.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if round.append {
			if err := writer.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		if writer.Size() != int64(round.to) {
			t.Errorf("size %d, want %d", writer.Size(), round.to)
		}
	}
	if got, err := driver.GetContent(t.Context(), "/a"); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v, and not those that were written", len(got), err)
	}
	for _, size := range below.sizes {
		if size != part/pieces && size != half%(part/pieces) && size != (len(content)-half)%(part/pieces) {
			t.Errorf("%d bytes were written at once", size)
		}
	}
}

func TestCancelledPartIsDropped(t *testing.T) {
	below := &recorder{StorageDriver: inmemory.New()}
	writer, err := newPartDriver(below, nil).Writer(t.Context(), "/a", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	if err := writer.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	if len(below.sizes) > 0 {
		t.Errorf("written: %d", below.sizes)
	}
}
