package registryd

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRequest lets the whole of a registry answer bytes from the network, apart from net/http's
// own reading of them: whatever names, digests, ranges, upload states, credentials, manifests and
// conditions they hold, the answer must be one, and no error of the server's own.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v2/a/tags/list?n=9999999999999999999&last=%ff HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v2/_catalog?n=-1&last=../ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v2/a/blobs/sha256:" + emptyDigest + " HTTP/1.1\r\nHost: x\r\nRange: bytes=0-,-1,5-2\r\nIf-None-Match: \"\", W/\"*\r\n\r\n",
		"HEAD /v2/a/blobs/sha512:ab HTTP/1.1\r\nHost: x\r\nRange: bytes=18446744073709551615-\r\n\r\n",
		"GET /v2/a/manifests/latest HTTP/1.1\r\nHost: x\r\nAccept: */*;q=nan, application/vnd.oci.image.index.v1+json\r\n\r\n",
		"GET /v2/a/referrers/sha256:" + emptyDigest + "?artifactType=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /v2/a/blobs/uploads/?mount=sha256:" + emptyDigest + "&from=b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"POST /v2/a/blobs/uploads/?digest=sha256:" + emptyDigest + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"PATCH /v2/a/blobs/uploads/x?_state=eyJOYW1lIjoiYSJ9 HTTP/1.1\r\nHost: x\r\nContent-Range: 5-2\r\nContent-Length: 2\r\n\r\nab",
		"PUT /v2/a/blobs/uploads/x?_state=%00&digest=md5:x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PUT /v2/a/manifests/latest HTTP/1.1\r\nHost: x\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: 19\r\n\r\n{\"schemaVersion\":2}",
		"PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Type: a/b;c=\"\r\nContent-Length: 4\r\n\r\nnull",
		"DELETE /v2/a/manifests/sha256:" + emptyDigest + " HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Og==\r\n\r\n",
		"GET /v2/a/tags/list HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\nX-Forwarded-Proto: :\r\nForwarded: for=;;\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	handler := registryFor(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			t.Skip("not a request")
		}
		request.RemoteAddr = "127.0.0.1:1"
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if answer.Code < 200 || answer.Code == http.StatusInternalServerError || answer.Code > 599 {
			t.Errorf("%q: answered %d %s", data, answer.Code, answer.Body)
		}
	})
}

// emptyDigest is that of nothing.
const emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// registryFor is a registry in memory that nobody listens for.
func registryFor(f *testing.F) http.Handler {
	f.Helper()
	path := filepath.Join(f.TempDir(), "config.yml")
	config := "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {inmemory: {}, delete: {enabled: true}}\n"
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		f.Fatal(err)
	}
	s := newServer(Options{Config: path, Log: io.Discard})
	g, err := s.build(path, 1, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := g.close(); err != nil {
			f.Error(err)
		}
	})
	return g.handler
}
