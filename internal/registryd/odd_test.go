package registryd_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestOddRequests sends what no client sends. Each gets an answer or has its connection closed,
// and the registry serves on.
func TestOddRequests(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	long := strings.Repeat("a", 256)
	for _, test := range []struct {
		name, request string
		want          int // 0 if the connection is closed without an answer
	}{
		{"no version", "GET /v2/\r\n\r\n", 400},
		{"old version", "GET /v2/ HTTP/0.9\r\n\r\n", 505},
		{"future version", "GET /v2/ HTTP/3.7\r\nHost: x\r\n\r\n", 505},
		{"version 1.0", "GET /v2/ HTTP/1.0\r\n\r\n", 200},
		{"no host", "GET /v2/ HTTP/1.1\r\n\r\n", 400},
		{"two hosts", "GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"strange host", "GET /v2/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		{"whole address", "GET http://other/v2/ HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"no slash", "GET v2/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"space in path", "GET /v2/a b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"half an escape", "GET /v2/%2 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"NUL", "GET /v2/a\x00/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"escaped NUL", "GET /v2/a%00/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"parent", "GET /v2/a/../../etc/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"escaped parent", "GET /v2/%2e%2e/%2e%2e/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"backslash", "GET /v2/..\\..\\x/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"double slash", "GET /v2//a/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"long name", "GET /v2/" + long + "/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"longest name", "GET /v2/" + long[1:] + "/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", 404},
		{"long tag", "GET /v2/a/manifests/" + long + " HTTP/1.1\r\nHost: x\r\n\r\n", 404},
		{"long digest", "GET /v2/a/blobs/sha256:" + long + " HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"upload of a parent", "GET /v2/a/blobs/uploads/..%2f..%2fx?_state=e30 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"upload of nobody", "PATCH /v2/a/blobs/uploads/...?_state=e30 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404},
		{"star", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"tunnel", "CONNECT other:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"trace", "TRACE /v2/a/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", 405},
		{"no method", "BR?EW\x01 /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"two lengths", "PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
		{"length and chunks", "PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"negative length", "PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
		{"unknown coding", "PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"folded header", "GET /v2/ HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 200},
		{"space before colon", "GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n", 400},
		{"no chunk", "PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		{"unknown expectation", "PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: miracles\r\n\r\n", 417},
		{"upgrade", "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n", 200},
		{"TLS", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n", 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := statusOf(t, u, test.request); got != test.want {
				t.Errorf("answered %d, want %d", got, test.want)
			}
		})
	}
	if code, _ := get(t, u.url("/v2/")); code != http.StatusOK {
		t.Errorf("afterwards: %d", code)
	}
}

// statusOf writes a request as it is and returns the status of the answer, 0 if there is none.
func statusOf(t *testing.T, u *unit, request string) int {
	t.Helper()
	conn, err := net.Dial("tcp", u.server.Status().Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// TestNothingIsDecompressed pushes a blob that says it is compressed, and is not: it is kept as
// it came.
func TestNothingIsDecompressed(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	content := []byte("\x1f\x8b\x08 not what it seems")
	response, err := http.Post(u.url("/v2/app/blobs/uploads/"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	location := response.Header.Get("Location") + "&digest=" + digest.FromBytes(content).String()
	request, err := http.NewRequestWithContext(t.Context(), "PUT", location, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Encoding", "gzip")
	client := newClient()
	defer client.CloseIdleConnections()
	if err := put(client, request); err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, u.url("/v2/app/blobs/"+digest.FromBytes(content).String())); code != http.StatusOK || body != string(content) {
		t.Errorf("pulled %d %q", code, body)
	}
}

// TestLargeManifest is answered as the specification recommends.
func TestLargeManifest(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	request, err := http.NewRequestWithContext(t.Context(), "PUT", u.url("/v2/app/manifests/x"), io.MultiReader(bytes.NewReader(make([]byte, 4<<20+1))))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusRequestEntityTooLarge || !bytes.Contains(body, []byte(`"SIZE_INVALID"`)) {
		t.Errorf("answered %d %s, %v", response.StatusCode, body, err)
	}
}

// TestOddUploads says of what it sends that it is something else, or a part of something else.
func TestOddUploads(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0"))
	a := api{t: t, base: u.url("")}
	for _, test := range []struct {
		name, method, header, value string
		want                        int
	}{
		{"form", "PATCH", "Content-Type", "application/x-www-form-urlencoded", 202},
		{"form to the end", "PUT", "Content-Type", "application/x-www-form-urlencoded", 201},
		{"archive", "PATCH", "Content-Type", "application/x-tar", 202},
		{"range of an answer", "PATCH", "Content-Range", "bytes 0-2/3", 416},
		{"half a range", "PUT", "Content-Range", "0-", 416},
		{"range below zero", "PATCH", "Content-Range", "-3--1", 416},
		{"another range", "PATCH", "Content-Range", "1-3", 416},
		{"range", "PATCH", "Content-Range", "0-2", 202},
	} {
		begun := a.want(202, a.do("POST", "/v2/app/blobs/uploads/", nil))
		location := begun.header.Get("Location") + "&digest=" + digest.FromString("a=b").String()
		got := a.do(test.method, location, []byte("a=b"), test.header, test.value)
		if got.status != test.want {
			t.Errorf("%s: answered %d %s, want %d", test.name, got.status, got.body, test.want)
		}
	}
}
