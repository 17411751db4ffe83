package registryd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// FuzzRequest lets the whole of a registry answer bytes from the network, apart from net/http's own reading of
// them: whatever names, digests, ranges, upload states, credentials, manifests and conditions the requests
// hold, each has an answer that keeps the promises of (*fuzzed).check.
func FuzzRequest(f *testing.F) {
	image := sampleImage()
	layer, manifest := digestOf(image.layer), digestOf(image.manifest)
	for _, seed := range []string{
		"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v2/team/app/tags/list?n=9999999999999999999&last=%ff HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Y2k6Y2k=\r\n\r\n",
		"GET /v2/_catalog?n=-1&last=../ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Y2k6Y2k=\r\n\r\n",
		"GET /v2/public/lib/blobs/" + layer + " HTTP/1.1\r\nHost: x\r\nRange: bytes=0-,-1,5-2\r\nIf-None-Match: \"\", W/\"*\r\n\r\n",
		"HEAD /v2/team/app/blobs/sha512:ab HTTP/1.1\r\nHost: x\r\nRange: bytes=18446744073709551615-\r\n\r\n",
		"GET /v2/public/lib/manifests/latest HTTP/1.1\r\nHost: x\r\nAccept: */*;q=nan, application/vnd.oci.image.index.v1+json\r\n\r\n",
		"GET /v2/public/lib/referrers/" + manifest + "?artifactType=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /v2/other/blobs/uploads/?mount=" + layer + "&from=team/app HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Y2k6Y2k=\r\nContent-Length: 0\r\n\r\n",
		"POST /v2/other/blobs/uploads/?digest=" + layer + " HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Y2k6Y2k=\r\nContent-Length: 5\r\n\r\nlayer",
		"PATCH /v2/team/app/blobs/uploads/x?_state=eyJOYW1lIjoiYSJ9 HTTP/1.1\r\nHost: x\r\nContent-Range: 5-2\r\nContent-Length: 2\r\n\r\nab",
		"PUT /v2/team/app/blobs/uploads/x?_state=%00&digest=md5:x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PUT /v2/team/app/manifests/latest HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Y2k6Y2k=\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: 19\r\n\r\n{\"schemaVersion\":2}",
		"PUT /v2/team/app/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Type: a/b;c=\"\r\nContent-Length: 4\r\n\r\nnull",
		"DELETE /v2/team/app/manifests/" + manifest + " HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YW5uOmFubg==\r\n\r\nGET /v2/team/app/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v2/team/app/tags/list HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\nX-Forwarded-Proto: :\r\nForwarded: for=;;\r\n\r\n",
		"GET /auth/token?service=test&scope=repository:team/app:pull,push HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Y2k6Y2k=\r\n\r\n",
	} {
		f.Add(true, []byte(seed))
		f.Add(false, []byte(seed))
	}
	guarded, open := newFuzzed(f, true), newFuzzed(f, false)
	f.Fuzz(func(t *testing.T, guard bool, data []byte) {
		registry := open
		if guard {
			registry = guarded
		}
		registry.begin(t)
		defer registry.end(t)
		for input := bufio.NewReader(bytes.NewReader(data)); ; {
			if _, err := registry.serve(t, input); errors.Is(err, errNoRequest) {
				return
			}
		}
	})
}

// FuzzSession is a client that sends requests of all kinds one after the other, which follow from one another:
// uploads in steps, images, their deletion, tokens. Each byte of the program is a choice; text stands where it
// chooses foreign text.
func FuzzSession(f *testing.F) {
	for kind := range len(steps) {
		f.Add(false, bytes.Repeat([]byte{byte(kind), 0, 0, 0, 0, 0, 0, 0}, 3), "x")
		f.Add(true, append([]byte{byte(kind)}, "\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"...), "application/json")
	}
	f.Add(true, []byte("NApo"), "Domain/app")
	f.Add(true, []byte("appliootan/\x80o`\xd8@s"), "appliootWan/\x80so`")
	f.Add(false, []byte("\x05\xf9\x00\x16\x03\x04\x05\a\t"), "application/json")
	f.Add(true, []byte("\x01\x00\x00\x00\x02\x00\x00\x01\x00\x03\x00\x00\x01\x00"), "sha256:0")
	guarded, open := newFuzzed(f, true), newFuzzed(f, false)
	f.Fuzz(func(t *testing.T, guard bool, program []byte, text string) {
		registry := open
		if guard {
			registry = guarded
		}
		registry.begin(t)
		defer registry.end(t)
		newSession(t, registry, program, text).run()
	})
}

// errNoRequest says that what is read is not a request.
var errNoRequest = errors.New("not a request")

// wire is a request as a client sends it.
func wire(method, target string, headers []string, body []byte) io.Reader {
	lines := append([]string{method + " " + target + " HTTP/1.1", "Host: registry.test"}, headers...)
	return io.MultiReader(strings.NewReader(strings.Join(lines, "\r\n")+"\r\n\r\n"), bytes.NewReader(body))
}
