package proxy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"

	// layerSize is large enough for a kill to find clients in the middle of a layer.
	layerSize = 256 << 10
)

// An image is a manifest, tagged as latest in a repository of its own, with two blobs.
type image struct {
	repository string
	manifest   []byte
	blobs      [2][]byte
}

func makeImages(t *testing.T, count int) []image {
	t.Helper()
	var images []image
	for number := range count {
		i := image{repository: fmt.Sprintf("app-%d", number)}
		i.blobs[0], i.blobs[1] = []byte(`{"architecture":"amd64","os":"linux"}`), make([]byte, layerSize)
		_, _ = rand.Read(i.blobs[1]) // it never fails
		var parts []any
		for _, blob := range i.blobs {
			parts = append(parts, map[string]any{"mediaType": "application/octet-stream", "digest": digest(blob), "size": len(blob)})
		}
		var err error
		i.manifest, err = json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": parts[0], "layers": parts[1:]})
		check(t, err)
		images = append(images, i)
	}
	return images
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// A registry is one that a client reaches.
type registry struct {
	base   string
	client *http.Client
}

func (r registry) push(i image) error {
	for _, blob := range i.blobs {
		location, err := r.begin(i.repository)
		if err == nil {
			_, err = r.send(http.MethodPut, location+"&digest="+digest(blob), blob, http.StatusCreated)
		}
		if err != nil {
			return err
		}
	}
	_, err := r.send(http.MethodPut, r.base+"/v2/"+i.repository+"/manifests/latest", i.manifest, http.StatusCreated)
	return err
}

// begin begins to upload a blob, and returns the URL at which to go on.
func (r registry) begin(repository string) (string, error) {
	return r.send(http.MethodPost, r.base+"/v2/"+repository+"/blobs/uploads/", nil, http.StatusAccepted)
}

// send returns the URL that the answer names.
func (r registry) send(method, url string, body []byte, want int) (string, error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	if bytes.Contains([]byte(url), []byte("/manifests/")) {
		request.Header.Set("Content-Type", manifestType)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return "", err
	}
	if response.StatusCode != want {
		return "", fmt.Errorf("%s %s: %s: %s", method, url, response.Status, text)
	}
	location, err := response.Location()
	if err != nil {
		return "", err
	}
	return location.String(), nil
}

// pause is how long a client rests after an image. Without it the clients take both processors, and hooks that
// would run within a second of each other on machines of their own do not.
const pause = 100 * time.Millisecond

// A request is what became of one request of those that pull.
type request struct {
	number       int
	path         string
	began, ended time.Time
	// local is the client's end of the connection that it went over.
	local string
	err   error
}

// pulls are clients that pull images through the proxy, over and over, never try again, and write down
// each request. Every fourth opens a connection for each.
type pulls struct {
	images  []image
	stop    chan struct{}
	clients sync.WaitGroup
	numbers atomic.Int64
	done    atomic.Int64

	mu       sync.Mutex
	requests []request
}

// pull sets that many clients to work.
func (s *site) pull(clients int, images []image) *pulls {
	p := &pulls{images: images, stop: make(chan struct{})}
	for number := range clients {
		p.clients.Go(func() {
			p.work(s.newPuller(number%4 == 2), number)
		})
	}
	s.Cleanup(p.end)
	return p
}

// A puller is one client, who sends one request after the other.
type puller struct {
	registry
	// local is the client's end of the connection that was used, or opened, last.
	local atomic.Value
}

func (s *site) newPuller(fresh bool) *puller {
	p := &puller{registry: registry{s.url(), s.client(s.front.Address())}}
	transport := p.client.Transport.(*http.Transport)
	transport.DisableKeepAlives = fresh
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			p.local.Store(conn.LocalAddr().String())
		}
		return conn, err
	}
	return p
}

func (p *pulls) work(r *puller, next int) {
	defer r.client.CloseIdleConnections()
	for ; ; next++ {
		select {
		case <-p.stop:
			return
		default:
		}
		i := p.images[next%len(p.images)]
		paths := map[string][]byte{
			"/manifests/latest": i.manifest, "/blobs/" + digest(i.blobs[0]): i.blobs[0], "/blobs/" + digest(i.blobs[1]): i.blobs[1],
		}
		whole := true
		for path, want := range paths {
			whole = p.get(r, "/v2/"+i.repository+path, want) && whole
		}
		if whole {
			p.done.Add(1)
		}
		time.Sleep(pause)
	}
}

// get sends one request, whose query tells it from all others.
func (p *pulls) get(r *puller, path string, want []byte) bool {
	n := int(p.numbers.Add(1))
	done := request{number: n, path: fmt.Sprintf("%s?request=%d", path, n), began: time.Now()}
	done.err = r.get(done.path, want)
	done.ended = time.Now()
	done.local, _ = r.local.Load().(string)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, done)
	return done.err == nil
}

func (p *puller) get(path string, want []byte) error {
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { p.local.Store(info.Conn.LocalAddr().String()) }}
	asked, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), http.MethodGet, p.base+path, nil)
	if err != nil {
		return err
	}
	asked.Header.Set("Accept", manifestType)
	response, err := p.client.Do(asked)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", response.Status, got)
	case !bytes.Equal(got, want):
		return fmt.Errorf("%d other bytes than were pushed", len(got))
	}
	return nil
}

// end lets every client finish its image.
func (p *pulls) end() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.clients.Wait()
}

// await returns once that many further images were pulled.
func (p *pulls) await(s *site, count int64) {
	s.Helper()
	for goal := p.done.Load() + count; p.done.Load() < goal; {
		select {
		case <-s.ctx.Done():
			s.Fatalf("only %d of %d images were pulled: %v", p.done.Load(), goal, s.ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// failed are the requests that failed, all are those that ended.
func (p *pulls) failed() (failed, all []request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all = slices.Clone(p.requests)
	return slices.DeleteFunc(slices.Clone(all), func(r request) bool { return r.err == nil }), all
}

// wantNoFailure wants every request so far to have been answered.
func (p *pulls) wantNoFailure(s *site) {
	s.Helper()
	failed, all := p.failed()
	for _, r := range failed[:min(len(failed), 5)] {
		s.Errorf("%s %s after %s: %v", r.path, r.began.Format("15:04:05.000"), r.ended.Sub(r.began).Round(time.Millisecond), r.err)
	}
	s.Logf("%d images, %d requests, %d failed", p.done.Load(), len(all), len(failed))
}
