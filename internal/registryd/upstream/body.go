package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// body is an answer's body that fails rather than stand still, and rather than end with
// other content than the blob that was asked for.
type body struct {
	io.ReadCloser
	cancel context.CancelFunc
	failed func(error)
	stall  time.Duration
	// verifier is nil unless the whole of a blob is read, of which left bytes are to come.
	verifier digest.Verifier
	left     int64
}

func newBody(response *http.Response, cancel context.CancelFunc, failed func(error)) *body {
	return &body{ReadCloser: response.Body, cancel: cancel, failed: failed, stall: stallTimeout}
}

// expect makes the body fail unless it holds the blob.
func (b *body) expect(blob digest.Digest, size int64) {
	if size > 0 {
		b.verifier, b.left = blob.Verifier(), size
	}
}

// blobOf is the digest of the blob that r asks for, "" if it asks for something else.
func blobOf(r *http.Request) digest.Digest {
	_, name, found := strings.Cut(r.URL.Path, "/blobs/")
	blob := digest.Digest(name)
	if !found || blob.Validate() != nil {
		return ""
	}
	return blob
}

// Read keeps back the last piece of a blob that is not what it should be: whoever has
// been sent the rest cannot take it for complete.
func (b *body) Read(p []byte) (int, error) {
	stalled := time.AfterFunc(b.stall, b.cancel)
	n, err := b.ReadCloser.Read(p)
	if !stalled.Stop() && err != nil && err != io.EOF {
		err = fmt.Errorf("nothing came for %s", b.stall)
	}
	if b.verifier != nil {
		_, _ = b.verifier.Write(p[:n]) // a hash never fails
		if b.left -= int64(n); b.left <= 0 && !b.verifier.Verified() {
			n, err = 0, errors.New("content is not what its digest says")
		}
	}
	if err != nil && err != io.EOF {
		b.failed(err)
	}
	return n, err
}

// Close ends the request.
func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
