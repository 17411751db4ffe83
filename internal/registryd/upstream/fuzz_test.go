package upstream

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/opencontainers/go-digest"
)

// FuzzChallenges reads challenges as a foreign registry may send them. What they ask for must be
// no more than they say, and no password may go where it is not trusted.
func FuzzChallenges(f *testing.F) {
	for _, seed := range []string{
		`Bearer realm="https://auth.test/token",service="registry",scope="repository:a:pull"`,
		`Basic realm="x"`, `Bearer realm=https://a , realm="https://b"`, `bearer`, `Bearer realm="`,
		`Bearer realm="http://[::1]:80/",scope=","`, "\x00", `Negotiate a==, Basic realm="\""`,
	} {
		f.Add(seed)
	}
	base := &url.URL{Scheme: "https", Host: "registry.test"}
	f.Fuzz(func(t *testing.T, header string) {
		response := &http.Response{Header: http.Header{"Www-Authenticate": {header}}}
		found := challengesOf(response)
		if len(found) != 1 {
			t.Fatalf("%d challenges", len(found))
		}
		for name, value := range found[0].parameters {
			if name != strings.ToLower(name) || !strings.Contains(header, value) {
				t.Errorf("%q: parameter %q is %q", header, name, value)
			}
		}
		realm, err := url.Parse(found[0].parameters["realm"])
		if err == nil && trusts(base, realm) && realm.Scheme != "https" {
			t.Errorf("%q: credentials in the clear", header)
		}
	})
}

const (
	// between stands between the answers of FuzzAnswers.
	between = "\x00\x00"
	// upstreamPassword is for the registry alone.
	upstreamPassword = "secret"
)

// FuzzAnswers lets a foreign registry, and whom it leads to, answer a pull of a blob. What is taken for the blob is
// the blob, and nobody is told the password but hosts of the registry's own domain.
func FuzzAnswers(f *testing.F) {
	blob := digest.FromString("content")
	for _, answers := range [][]string{
		{"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontent"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nc0ntent"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncon\r\n4\r\ntent\r\n0\r\n\r\n"},
		{"HTTP/1.1 307 x\r\nLocation: http://other.test/x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontent"},
		{"HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n", "HTTP/1.1 302 x\r\nLocation: //evil.test/\r\n\r\n"},
		{
			"HTTP/1.1 401 x\r\nWWW-Authenticate: Bearer realm=\"http://auth.registry.test/token\",service=\"s\"\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 35\r\n\r\n{\"token\":\"x\\n\",\"expires_in\":99999999}",
			"HTTP/1.1 429 x\r\nRetry-After: soon\r\nLink: </v2/?n=1>; rel=\"next\"\r\n\r\n",
		},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 x\r\nContent-Range: bytes 0-6/7\r\n\r\ncontent"},
	} {
		f.Add([]byte(strings.Join(answers, between)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		answers := bytes.Split(text, []byte(between))
		conf := configuration.Proxy{RemoteURL: "http://registry.test", Username: "user", Password: upstreamPassword}
		u, err := New(conf, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		u.login.plain.Proxy = nil
		u.login.plain.DialContext = func(_ context.Context, _, address string) (net.Conn, error) {
			var next []byte
			if len(answers) > 0 {
				next, answers = answers[0], answers[1:]
			}
			client, server := net.Pipe()
			go answerOnce(t, server, address, next)
			return client, nil
		}
		defer u.login.CloseIdleConnections()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://registry.test/v2/app/blobs/"+blob.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, failed := u.fetch(request, &call{upstream: u})
		if response == nil {
			if failed == nil || failed.status < 400 {
				t.Errorf("no answer, and no failure: %v", failed)
			}
			return
		}
		defer response.Body.Close()
		content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		if err == nil && failed == nil && response.StatusCode == http.StatusOK && response.ContentLength > 0 && digest.FromBytes(content) != blob {
			t.Errorf("%q was taken for %s", content, blob)
		}
	})
}

// answerOnce reads one request and answers it.
func answerOnce(t *testing.T, conn net.Conn, address string, answer []byte) {
	defer conn.Close()
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	host, _, _ := net.SplitHostPort(address)
	own := host == "registry.test" || strings.HasSuffix(host, ".registry.test")
	if _, password, _ := request.BasicAuth(); password == upstreamPassword && !own {
		t.Errorf("%s was told the password", address)
	}
	_, _ = conn.Write(answer)
}
