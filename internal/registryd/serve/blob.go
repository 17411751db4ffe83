package serve

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"

	"docker-registry-operator/internal/registryd/rawfile"
)

// cacheControl is what distribution sends with a blob: a year.
const cacheControl = "max-age=31536000"

// emptyHex is the sha256 of nothing.
const emptyHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// blob is the open file of a blob.
type blob struct {
	*os.File
	digest string
}

// findBlob opens the blob that asked names, if its repository has a link to it. A file of no length is what a
// power cut leaves of a blob: it is not there.
func (s *Server) findBlob(asked pull) (content, error) {
	digest := algorithm + asked.hex
	err := checkLink(s.tree.blobLink(asked.repository, asked.hex), asked.hex)
	var file *os.File
	if err == nil {
		file, err = rawfile.Open(s.tree.data(asked.hex), os.O_RDONLY)
	}
	if err != nil {
		return nil, missing(err, errcode.ErrorCodeBlobUnknown, digest)
	}
	if err := checkData(file, asked.hex); err != nil {
		_ = file.Close() // nothing was written
		if errors.Is(err, fs.ErrNotExist) {
			s.log.WithError(err).Error("blob lost")
		}
		return nil, missing(err, errcode.ErrorCodeBlobUnknown, digest)
	}
	return blob{file, digest}, nil
}

// checkData returns an error that is fs.ErrNotExist if file is not the blob with these hex digits, as far as its
// kind and length tell.
func checkData(file *os.File, hex string) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 && hex != emptyHex {
		return &fs.PathError{Op: "read", Path: file.Name(), Err: fs.ErrNotExist}
	}
	return nil
}

// answer sends the headers of distribution and the bytes that r asks for. A file that has become shorter
// meanwhile breaks the connection off: the length has been sent.
func (b blob) answer(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header["Etag"] = []string{`"` + b.digest + `"`}
	header["Cache-Control"] = []string{cacheControl}
	header["Docker-Content-Digest"] = []string{b.digest}
	header["Content-Type"] = []string{"application/octet-stream"}
	if _, ok := w.(io.ReaderFrom); !ok || r.TLS != nil {
		w = bufferedWriter{w}
	}
	http.ServeContent(w, r, "", time.Time{}, b.File)
}

func (b blob) close() { _ = b.File.Close() } // nothing was written

// copyBuffer is the size of the buffer of a blob on its way where sendfile cannot be used: that of a record of TLS
// and of a frame of HTTP/2. The one that net/http would bring is twice as large, or made anew for each request.
const copyBuffer = 16 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// bufferedWriter copies through a buffer that is used again.
type bufferedWriter struct{ http.ResponseWriter }

// ReadFrom copies src to the response.
func (w bufferedWriter) ReadFrom(src io.Reader) (int64, error) {
	buffer := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{w.ResponseWriter}, src, buffer[:])
}
