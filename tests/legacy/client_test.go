package legacy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"docker-registry-operator/tests/machine"
)

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// An image is its manifest, and what that names: configuration and layer.
type image struct {
	repository string
	manifest   []byte
	blobs      [][]byte
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// images are n small images, each with a configuration and a layer of its own.
func images(n int) []image {
	made := make([]image, n)
	for i := range made {
		config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","config":{"Labels":{"number":"%d"}}}`, i)
		layer := bytes.Repeat(fmt.Appendf(nil, "layer of image %d\n", i), 200)
		describe := func(kind string, content []byte) map[string]any {
			return map[string]any{"mediaType": kind, "digest": digest(content), "size": len(content)}
		}
		// Maps of texts and numbers always have a form.
		manifest, _ := json.Marshal(map[string]any{
			"schemaVersion": 2, "mediaType": manifestType,
			"config": describe("application/vnd.oci.image.config.v1+json", config),
			"layers": []any{describe("application/vnd.oci.image.layer.v1.tar", layer)},
		})
		made[i] = image{repository: fmt.Sprintf("team%d/image%d", i%7, i), manifest: manifest, blobs: [][]byte{config, layer}}
	}
	return made
}

// A client pushes and pulls at a machine's registry, over a connection of its own each time: what one
// request finds tells nothing of the next.
type client struct {
	http           *http.Client
	base           string
	user, password string
}

func newClient(m *machine.Machine, port int, trust *tls.Config) *client {
	scheme := "http"
	if trust != nil {
		scheme = "https"
	}
	return &client{
		http: &http.Client{
			Transport: &http.Transport{DialContext: m.Dial, TLSClientConfig: trust, DisableKeepAlives: true},
			Timeout:   20 * time.Second,
		},
		base: fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(m.Address(), fmt.Sprint(port))),
	}
}

func (c *client) as(user, password string) *client {
	c.user, c.password = user, password
	return c
}

// errStatus is an answer that is not what was asked for; all other errors are of the connection.
var errStatus = errors.New("wrong answer")

func (c *client) do(ctx context.Context, method, url, kind string, body []byte, want int) (*http.Response, []byte, error) {
	if url[0] == '/' {
		url = c.base + url
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if c.user != "" {
		req.SetBasicAuth(c.user, c.password)
	}
	req.Header.Set("Accept", manifestType)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%w: %s %s: %s: %s", errStatus, method, url, resp.Status, content)
	}
	return resp, content, err
}

// begin begins an upload and says where it goes on.
func (c *client) begin(ctx context.Context, repository string) (place string, err error) {
	resp, _, err := c.do(ctx, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", "", nil, http.StatusAccepted)
	if err != nil {
		return "", err
	}
	target, err := resp.Location()
	if err != nil {
		return "", err
	}
	return target.RequestURI(), nil
}

// end ends an upload that began at a place.
func (c *client) end(ctx context.Context, place string, blob []byte) error {
	_, _, err := c.do(ctx, http.MethodPut, place+"&digest="+digest(blob), "application/octet-stream", blob, http.StatusCreated)
	return err
}

func (c *client) push(ctx context.Context, i image) error {
	for _, blob := range i.blobs {
		place, err := c.begin(ctx, i.repository)
		if err != nil {
			return err
		}
		if err := c.end(ctx, place, blob); err != nil {
			return err
		}
	}
	_, _, err := c.do(ctx, http.MethodPut, "/v2/"+i.repository+"/manifests/latest", manifestType, i.manifest, http.StatusCreated)
	return err
}

// pull pulls an image by its digest, and wants exactly what was pushed.
func (c *client) pull(ctx context.Context, i image) error {
	get := func(path string, want []byte) error {
		_, got, err := c.do(ctx, http.MethodGet, "/v2/"+i.repository+"/"+path+digest(want), "", nil, http.StatusOK)
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("%w: %s of %s is not what was pushed", errStatus, path, i.repository)
		}
		return err
	}
	err := get("manifests/", i.manifest)
	for _, blob := range i.blobs {
		if err == nil {
			err = get("blobs/", blob)
		}
	}
	return err
}

// A puller pulls one image after the other until it is told to stop.
type puller struct {
	stop    chan struct{}
	done    chan struct{}
	outcome []pulled
}

// pulled is how one pull went.
type pulled struct {
	began, ended time.Time
	err          error
}

func startPuller(ctx context.Context, c *client, all []image) *puller {
	p := &puller{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for i := 0; ; i++ {
			select {
			case <-p.stop:
				return
			case <-ctx.Done():
				return
			case <-time.After(2 * time.Millisecond):
			}
			began := time.Now()
			err := c.pull(ctx, all[i%len(all)])
			p.outcome = append(p.outcome, pulled{began, time.Now(), err})
		}
	}()
	return p
}

// wantOneGap ends the puller. Pulls may fail for want of a connection, one after the other, and never
// again once one has gone well. How long that took is told and not judged, since machines differ.
func (p *puller) wantOneGap(t *testing.T) {
	t.Helper()
	close(p.stop)
	<-p.done
	bad := func(o pulled) bool { return o.err != nil }
	first := slices.IndexFunc(p.outcome, bad)
	if first < 0 {
		t.Logf("%d pulls, none failed", len(p.outcome))
		return
	}
	last := first
	for i, o := range p.outcome {
		if !bad(o) {
			continue
		}
		last = i
		if errors.Is(o.err, errStatus) {
			t.Errorf("pull %d of %d: %v", i, len(p.outcome), o.err)
		}
	}
	for i := first; i <= last; i++ {
		if !bad(p.outcome[i]) {
			t.Errorf("pull %d went well, between %d and %d that failed: %v, %v", i, first, last, p.outcome[first].err, p.outcome[last].err)
			break
		}
	}
	if last == len(p.outcome)-1 {
		t.Fatalf("the last of %d pulls still failed: %v", len(p.outcome), p.outcome[last].err)
	}
	gap := p.outcome[last+1].ended.Sub(p.outcome[first].began)
	t.Logf("%d pulls, %d failed, %.2f s without service", len(p.outcome), last-first+1, gap.Seconds())
}
