package swift

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"docker-registry-operator/tests/engine/relay"
	engine "docker-registry-operator/tests/engine/swift"
)

// through are the parameters of a server that is reached through a relay. Swift tells its
// clients the address that they came to.
func through(t *testing.T, server *engine.Server) (Parameters, *relay.Relay) {
	t.Helper()
	between, err := relay.Start("127.0.0.1:0", server.Address)
	check(t, err)
	t.Cleanup(between.Close)
	p := parameters(server)
	p.AuthURL = strings.Replace(p.AuthURL, server.Address, between.Address(), 1)
	return p, between
}

func TestFaults(t *testing.T) {
	server := start(t, engine.Options{})
	t.Run("read goes on", func(t *testing.T) { testReadGoesOn(t, server) })
	t.Run("read ends", func(t *testing.T) { testReadEnds(t, server) })
	t.Run("write goes on", func(t *testing.T) { testWriteGoesOn(t, server) })
	t.Run("credentials", func(t *testing.T) { testCredentials(t, server) })
	t.Run("unreachable", func(t *testing.T) { testUnreachable(t) })
	t.Run("quota", func(t *testing.T) { testQuota(t, server) })
}

// A connection that breaks in the middle of a pull is made again.
func testReadGoesOn(t *testing.T, server *engine.Server) {
	p, between := through(t, server)
	d := opened(t, p)
	text := content(40 << 20)
	put(t, d, blob, text)
	r, err := d.Reader(t.Context(), blob, 0)
	check(t, err)
	defer r.Close()
	begin := make([]byte, 1<<20)
	_, err = io.ReadFull(r, begin)
	check(t, err)
	between.Cut()
	mended := time.AfterFunc(time.Second, func() { _ = between.Mend() })
	defer mended.Stop()
	rest, err := io.ReadAll(r)
	check(t, err)
	if string(begin)+string(rest) != text {
		t.Errorf("read %d bytes, and not those that were written", len(begin)+len(rest))
	}
}

// Where the network stays away a pull ends with an error, not as if it were complete.
func testReadEnds(t *testing.T, server *engine.Server) {
	p, between := through(t, server)
	d := opened(t, p)
	put(t, d, blob, content(40<<20))
	r, err := d.Reader(t.Context(), blob, 0)
	check(t, err)
	defer r.Close()
	_, err = io.ReadFull(r, make([]byte, 1<<20))
	check(t, err)
	between.Cut()
	d.store.endurance = time.Second
	if n, err := io.Copy(io.Discard, r); err == nil {
		t.Errorf("read %d bytes more, to the end", n)
	}
}

// A push outlives a time without a network.
func testWriteGoesOn(t *testing.T, server *engine.Server) {
	p, between := through(t, server)
	p.ChunkSize = minChunkSize
	d := opened(t, p)
	text := content(8*minChunkSize + 9)
	w, err := d.Writer(t.Context(), upload, false)
	check(t, err)
	write(t, w, text[:3*minChunkSize])
	between.Cut()
	mended := time.AfterFunc(2*time.Second, func() { _ = between.Mend() })
	defer mended.Stop()
	write(t, w, text[3*minChunkSize:])
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
	wantText(t, d, upload, text)
}

func wantRefusal(t *testing.T, p Parameters, want string) {
	t.Helper()
	_, err := New(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), p.Password) {
		t.Errorf("%v, want %s", err, want)
	}
}

func testCredentials(t *testing.T, server *engine.Server) {
	p := parameters(server)
	p.Password = "wrong-secret"
	wantRefusal(t, p, `as "test:tester": Swift answers 401: the user name, password, tenant or domain is wrong`)
}

func testUnreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, closed.Close())
	p := Parameters{
		AuthURL: "http://" + closed.Addr().String() + "/auth/v1.0", Username: "test:tester", Password: "some-secret",
		Container: "images", ChunkSize: minChunkSize,
	}
	wantRefusal(t, p, "connection refused")
}

func testQuota(t *testing.T, server *engine.Server) {
	p := parameters(server)
	p.Container = "small"
	check(t, server.Put(t.Context(), p.Container, map[string]string{"X-Container-Meta-Quota-Bytes": "1000"}))
	d := opened(t, p)
	check(t, d.PutContent(t.Context(), "/fits", []byte("text")))
	err := d.PutContent(t.Context(), "/full", []byte(content(2000)))
	if err == nil || !strings.Contains(err.Error(), "a quota is reached") {
		t.Errorf("%v", err)
	}
	wantText(t, d, "/fits", "text")
}

// A token that expires in the middle of a push is replaced.
func TestTokenExpires(t *testing.T) {
	p := parameters(start(t, engine.Options{TokenLife: time.Second}))
	p.ChunkSize = minChunkSize
	d := opened(t, p)
	text := content(4 * minChunkSize)
	w, err := d.Writer(t.Context(), upload, false)
	check(t, err)
	for part := 0; part < len(text); part += minChunkSize {
		write(t, w, text[part:part+minChunkSize])
		time.Sleep(1200 * time.Millisecond)
	}
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
	wantText(t, d, upload, text)
}
