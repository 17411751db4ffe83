package swift

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	engine "docker-registry-operator/tests/engine/swift"
)

// version2 is the URL of a registry of distribution 2.8.3 with its own Swift driver, on the
// container of p. It ends with the test.
func version2(t *testing.T, p Parameters) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "version2")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = "../../../tests/version2"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	address := listener.Addr().String()
	check(t, listener.Close())
	config := filepath.Join(t.TempDir(), "config.yml")
	check(t, os.WriteFile(config, fmt.Appendf(nil, `version: 0.1
log: {level: error, accesslog: {disabled: true}}
http: {addr: %q, secret: shared}
storage:
  delete: {enabled: true}
  swift: {authurl: %q, username: %q, password: %q, container: %q, chunksize: %d}
`, address, p.AuthURL, p.Username, p.Password, p.Container, p.ChunkSize), 0o600))
	registry := exec.CommandContext(t.Context(), program, "serve", config)
	registry.Stdout, registry.Stderr = t.Output(), t.Output()
	check(t, registry.Start())
	t.Cleanup(func() {
		_ = registry.Process.Kill()
		_ = registry.Wait()
	})
	base := "http://" + address
	for range 100 {
		if answer, err := http.Get(base + "/v2/"); err == nil {
			check(t, answer.Body.Close())
			return base
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the registry of version 2 does not answer")
	return ""
}

// send makes a request and wants a status.
func send(t *testing.T, method, target, body string, status int) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	check(t, err)
	request.Header.Set("Content-Type", contentType)
	answer, err := http.DefaultClient.Do(request)
	check(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != status {
		text, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s %s: %s\n%s", method, target, answer.Status, text)
	}
	return answer
}

// begin begins an upload and returns where it goes on.
func begin(t *testing.T, base string) string {
	t.Helper()
	return send(t, http.MethodPost, base+"/v2/app/blobs/uploads/", "", http.StatusAccepted).Header.Get("Location")
}

func digest(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

func blobPath(text string) string {
	sum := digest(text)
	return "/docker/registry/v2/blobs/sha256/" + sum[:2] + "/" + sum + "/data"
}

// The driver and the one of version 2 go on with each other's blobs and uploads. Version
// 2 itself fails on an empty blob.
func TestVersion2(t *testing.T) {
	p := parameters(start(t, engine.Options{}))
	p.ChunkSize = minChunkSize
	base, d := version2(t, p), opened(t, p)
	for _, size := range []int{7, minChunkSize, 3*minChunkSize + 11} {
		text := content(size)
		target := begin(t, base) + "&" + url.Values{"digest": {"sha256:" + digest(text)}}.Encode()
		send(t, http.MethodPut, target, text, http.StatusCreated)
		wantText(t, d, blobPath(text), text)
		check(t, d.Delete(t.Context(), blobPath(text)))
	}
	left, err := d.store.list(t.Context(), query{prefix: "segments/"})
	check(t, err)
	if len(left) > 0 {
		t.Errorf("%d segments of deleted blobs are left", len(left))
	}
	for _, size := range []int{3, 2*minChunkSize + 13} {
		testServedByVersion2(t, base, d, content(size)+"ours")
		testUploadOfBoth(t, base, d, content(size)+"both")
	}
}

// testServedByVersion2 writes a blob that the registry of version 2 serves.
func testServedByVersion2(t *testing.T, base string, d *driver, text string) {
	t.Helper()
	put(t, d, upload, text)
	check(t, d.Move(t.Context(), upload, blobPath(text)))
	link := "/docker/registry/v2/repositories/app/_layers/sha256/" + digest(text) + "/link"
	check(t, d.PutContent(t.Context(), link, []byte("sha256:"+digest(text))))
	answer := send(t, http.MethodGet, base+"/v2/app/blobs/sha256:"+digest(text), "", http.StatusOK)
	got, err := io.ReadAll(answer.Body)
	check(t, err)
	if string(got) != text {
		t.Errorf("version 2 serves %d bytes, and not those that were written", len(got))
	}
}

// testUploadOfBoth begins an upload with version 2 and goes on with the driver.
func testUploadOfBoth(t *testing.T, base string, d *driver, text string) {
	t.Helper()
	location := begin(t, base)
	half := len(text) / 2
	send(t, http.MethodPatch, location, text[:half], http.StatusAccepted)
	target, err := url.Parse(location)
	check(t, err)
	path := "/docker/registry/v2/repositories/app/_uploads/" + filepath.Base(target.Path) + "/data"
	w, err := d.Writer(t.Context(), path, true)
	check(t, err)
	if w.Size() != int64(half) {
		t.Errorf("version 2 left %d bytes, want %d", w.Size(), half)
	}
	write(t, w, text[half:])
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
	wantText(t, d, path, text)
}
