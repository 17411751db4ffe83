package stories

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"docker-registry-operator/tests/machine"
)

// An image is one layer, its configuration and its manifest, as a registry keeps them.
type image struct {
	manifest, config, layer []byte
}

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func makeImage(layer string) image {
	i := image{config: []byte(`{"architecture":"amd64","os":"linux"}`), layer: []byte(layer)}
	describe := func(kind string, content []byte) map[string]any {
		return map[string]any{"mediaType": kind, "digest": digest(content), "size": len(content)}
	}
	// Maps of texts and numbers always have a form.
	i.manifest, _ = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": describe(configType, i.config), "layers": []any{describe(layerType, i.layer)},
	})
	return i
}

// A client pushes and pulls at a registry of a machine, with HTTP alone.
type client struct {
	http *http.Client
	base string
}

func newClient(m *machine.Machine, port int) client {
	return client{http: m.HTTPClient(), base: fmt.Sprintf("http://127.0.0.1:%d", port)}
}

func (c client) do(method, url, kind string, body []byte, want int) (*http.Response, []byte, error) {
	if strings.HasPrefix(url, "/") {
		url = c.base + url
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
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
		err = fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, content)
	}
	return resp, content, err
}

func (c client) push(name, tag string, i image) error {
	for _, blob := range [][]byte{i.config, i.layer} {
		resp, _, err := c.do(http.MethodPost, "/v2/"+name+"/blobs/uploads/", "", nil, http.StatusAccepted)
		if err != nil {
			return err
		}
		target, err := resp.Location()
		if err != nil {
			return err
		}
		query := target.Query()
		query.Set("digest", digest(blob))
		target.RawQuery = query.Encode()
		if _, _, err := c.do(http.MethodPut, target.String(), "application/octet-stream", blob, http.StatusCreated); err != nil {
			return err
		}
	}
	_, _, err := c.do(http.MethodPut, "/v2/"+name+"/manifests/"+tag, manifestType, i.manifest, http.StatusCreated)
	return err
}

// pull wants the registry to have exactly this image.
func (c client) pull(name, tag string, i image) error {
	for path, want := range map[string][]byte{
		"manifests/" + tag: i.manifest, "blobs/" + digest(i.config): i.config, "blobs/" + digest(i.layer): i.layer,
	} {
		_, got, err := c.do(http.MethodGet, "/v2/"+name+"/"+path, "", nil, http.StatusOK)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s of %s is not what was pushed", path, name)
		}
	}
	return nil
}

// TestDataOfRoot deploys where a registry that ran as root has left its images.
func TestDataOfRoot(t *testing.T) {
	p := newPlace(t)
	old, before := makeImage("of root"), newClient(p.machine, 5099)
	p.must(p.machine.WriteFile("/opt/registry", registryOf(t), 0o755))
	p.on(`mkdir -p /srv/registry
		printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: /srv/registry}}\nhttp: {addr: "127.0.0.1:5099"}\n' >/opt/old.yml
		setsid /opt/registry serve /opt/old.yml </dev/null >/opt/old.log 2>&1 &
		echo $! >/opt/old.pid`)
	for p.probe(5099) != nil {
		time.Sleep(20 * time.Millisecond)
	}
	p.must(before.push("old/image", "v1", old))
	p.on(`kill $(cat /opt/old.pid)`)
	for i := range 10000 {
		p.must(p.machine.WriteFile(fmt.Sprintf("/srv/registry/docker/registry/v2/blobs/sha256/%02x/%064x/data", i%256, i), nil, 0o644))
	}
	files := p.on(`find /srv/registry | wc -l`)

	p.deploy(nil)
	p.settle()
	p.noFailure(0)
	now := newClient(p.machine, 5000)
	p.must(now.pull("old/image", "v1", old))
	p.must(now.push("new/image", "v1", makeImage("of the registry's user")))
	p.must(now.push("old/image", "v2", makeImage("beside that of root")))
	p.update()
	p.wantStatus("active: Ready at " + p.machine.Address() + ":5000 (http).")
	if left := p.on(`find /srv/registry ! -uid 65532 -o ! -gid 65532 | head`); left != "" {
		t.Errorf("of %s files these are not the registry's: %s", files, left)
	}
	if c := p.container(); c.Config.User != "65532:65532" || len(c.HostConfig.CapAdd) > 0 {
		t.Errorf("container runs as %q with %v", c.Config.User, c.HostConfig.CapAdd)
	}
	p.must(now.pull("old/image", "v1", old))
	t.Logf("%s files", files)
}
