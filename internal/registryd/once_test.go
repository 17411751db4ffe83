package registryd_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestClientLeaves has clients go away in the middle of what they send and of what they are sent. The log has nothing
// of answers that are begun twice.
func TestClientLeaves(t *testing.T) {
	u := start(t, "version: 0.1\nlog: {accesslog: {disabled: true}}\nstorage: {inmemory: {}}\nhttp: {addr: \"127.0.0.1:0\"}\n")
	a := api{t: t, base: u.url("")}
	large := index(t, "", "application/vnd.test/"+strings.Repeat("a", 3<<20))
	a.want(http.StatusCreated, a.push("app", "latest", large))
	upload := func() string {
		begun := a.want(http.StatusAccepted, a.do("POST", "/v2/app/blobs/uploads/", nil))
		return strings.TrimPrefix(begun.header.Get("Location"), a.base)
	}
	for _, request := range []string{
		fmt.Sprintf("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", upload()),
		fmt.Sprintf("PUT %s&digest=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", upload(), digest.FromString("abc")),
		"PUT /v2/app/manifests/other HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
		// More than what the system keeps of what nobody reads.
		strings.Repeat("GET /v2/app/manifests/latest HTTP/1.1\r\nHost: x\r\nAccept: application/vnd.oci.image.index.v1+json\r\n\r\n", 20),
	} {
		conn, err := net.Dial("tcp", u.server.Status().Addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		await(t, "request", func() bool { return u.server.Status().Requests == 1 })
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		await(t, "end of the request", func() bool { return u.server.Status().Requests == 0 })
	}
	if log := u.log.String(); strings.Contains(log, "superfluous") {
		t.Errorf("log:\n%s", log)
	}
}
