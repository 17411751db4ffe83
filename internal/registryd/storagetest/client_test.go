package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manifestType is the media type of manifests.
const manifestType = "application/vnd.oci.image.manifest.v1+json"

// requestTimeout turns a request that hangs into one that failed.
const requestTimeout = 5 * time.Minute

// client speaks the distribution protocol, and believes nothing that it has not checked.
type client struct {
	ctx            context.Context
	base           string
	http           *http.Client
	user, password string
	// server is what the last answer told of who gave it, behind HAProxy.
	server string
}

func newClient(t *testing.T, base string) *client {
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{ctx: t.Context(), base: base, http: &http.Client{Transport: transport, Timeout: requestTimeout}}
}

// request is a request with a body of a known size.
type request struct {
	method, path string
	header       map[string]string
	body         io.Reader
	size         int64
	// into takes the body of a good answer, if it is not to be kept.
	into io.Writer
}

// answer is an answer that has been read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// statusError is an answer that was not hoped for.
type statusError struct {
	method, path string
	answer       answer
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s answers %d: %s", e.method, e.path, e.answer.status, e.answer.body)
}

// do sends a request, to the path below the base or to a whole URL, as those of uploads are.
func (c *client) do(r request) (answer, error) {
	target := r.path
	if strings.HasPrefix(target, "/") {
		target = c.base + target
	}
	sent, err := http.NewRequestWithContext(c.ctx, r.method, target, r.body)
	if err != nil {
		return answer{}, err
	}
	sent.ContentLength = r.size
	if r.size == 0 {
		sent.Body = nil
	}
	for name, value := range r.header {
		sent.Header.Set(name, value)
	}
	if c.user != "" {
		sent.SetBasicAuth(c.user, c.password)
	}
	c.server = ""
	got, err := c.http.Do(sent)
	if err != nil {
		return answer{}, err
	}
	c.server = got.Header.Get(servedBy)
	defer func() { _ = got.Body.Close() }()
	a := answer{status: got.StatusCode, header: got.Header}
	if r.into != nil && got.StatusCode/100 == 2 {
		_, err = io.Copy(r.into, got.Body)
		return a, err
	}
	a.body, err = io.ReadAll(got.Body)
	return a, err
}

// want sends a request and takes no other status than the one that is wanted.
func (c *client) want(status int, r request) (answer, error) {
	got, err := c.do(r)
	if err == nil && got.status != status {
		err = &statusError{r.method, r.path, got}
	}
	return got, err
}

// begin begins an upload and returns its location.
func (c *client) begin(repository string) (string, error) {
	got, err := c.want(http.StatusAccepted, request{method: http.MethodPost, path: "/v2/" + repository + "/blobs/uploads/"})
	return got.header.Get("Location"), err
}

// relocate is the location of an upload at this registry, though another one told it.
func (c *client) relocate(location string) (string, error) {
	told, err := url.Parse(location)
	if err != nil {
		return "", err
	}
	return c.base + told.RequestURI(), nil
}

// patch sends the bytes from one offset up to another and returns the next location.
func (c *client) patch(location string, b blob, from, to int64) (string, error) {
	return c.patchWith(location, b.content(from, to), from, to)
}

func (c *client) patchWith(location string, content io.Reader, from, to int64) (string, error) {
	got, err := c.want(http.StatusAccepted, request{
		method: http.MethodPatch, path: location, body: content, size: to - from,
		header: map[string]string{
			"Content-Type": "application/octet-stream", "Content-Range": fmt.Sprintf("%d-%d", from, to-1),
		},
	})
	if err != nil {
		return "", err
	}
	if received, err := received(got); err != nil || received != to {
		return "", fmt.Errorf("after byte %d the registry has %d: %w", to, received, err)
	}
	return got.header.Get("Location"), nil
}

// status asks how many bytes of an upload there are and where to send the rest.
func (c *client) status(location string) (string, int64, error) {
	got, err := c.want(http.StatusNoContent, request{method: http.MethodGet, path: location})
	if err != nil {
		return "", 0, err
	}
	size, err := received(got)
	return got.header.Get("Location"), size, err
}

// received is how many bytes of an upload there are. Of none and of one the registry says the same.
func received(got answer) (int64, error) {
	_, last, found := strings.Cut(got.header.Get("Range"), "-")
	if !found {
		return 0, fmt.Errorf("no range in %v", got.header)
	}
	size, err := strconv.ParseInt(last, 10, 64)
	return size + 1, err
}

// commit ends an upload with the bytes from an offset on.
func (c *client) commit(location string, b blob, from int64) error {
	target, err := url.Parse(location)
	if err != nil {
		return err
	}
	query := target.Query()
	query.Set("digest", b.digest)
	target.RawQuery = query.Encode()
	got, err := c.want(http.StatusCreated, request{
		method: http.MethodPut, path: target.String(), body: b.content(from, b.size), size: b.size - from,
		header: map[string]string{"Content-Type": "application/octet-stream"},
	})
	if err == nil && got.header.Get("Docker-Content-Digest") != b.digest {
		err = fmt.Errorf("blob %s was taken for %s", b.digest, got.header.Get("Docker-Content-Digest"))
	}
	return err
}

// pushWhole pushes a blob in one piece.
func (c *client) pushWhole(repository string, b blob) error {
	location, err := c.begin(repository)
	if err != nil {
		return err
	}
	return c.commit(location, b, 0)
}

// pushChunks pushes a blob in chunks.
func (c *client) pushChunks(repository string, b blob, chunk int64) error {
	location, err := c.begin(repository)
	for from := int64(0); err == nil && from < b.size; from += chunk {
		location, err = c.patch(location, b, from, min(from+chunk, b.size))
	}
	if err != nil {
		return err
	}
	return c.commit(location, b, b.size)
}

// pull reads a blob, and is satisfied only with its very bytes.
func (c *client) pull(repository string, b blob) error {
	digest := sha256.New()
	got, err := c.want(http.StatusOK, request{method: http.MethodGet, path: "/v2/" + repository + "/blobs/" + b.digest, into: digest})
	if err != nil {
		return err
	}
	if have := "sha256:" + hex.EncodeToString(digest.Sum(nil)); have != b.digest {
		return fmt.Errorf("blob %s came as %s, of length %s", b.digest, have, got.header.Get("Content-Length"))
	}
	return nil
}

// pullRange reads the bytes from one offset up to another.
func (c *client) pullRange(repository string, b blob, from, to int64) error {
	var have bytes.Buffer
	_, err := c.want(http.StatusPartialContent, request{
		method: http.MethodGet, path: "/v2/" + repository + "/blobs/" + b.digest, into: &have,
		header: map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", from, to-1)},
	})
	if err != nil {
		return err
	}
	want, err := io.ReadAll(b.content(from, to))
	if err == nil && !bytes.Equal(want, have.Bytes()) {
		err = fmt.Errorf("bytes %d to %d of blob %s came as others", from, to, b.digest)
	}
	return err
}

// manifest makes the manifest of an image of which the first blob is the configuration.
func manifest(blobs ...blob) []byte {
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int64  `json:"size"`
	}
	var descriptors []descriptor
	for _, b := range blobs {
		descriptors = append(descriptors, descriptor{"application/octet-stream", b.digest, b.size})
	}
	content, _ := json.Marshal(map[string]any{ // of such values it never fails
		"schemaVersion": 2, "mediaType": manifestType, "config": descriptors[0], "layers": descriptors[1:],
	})
	return content
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// tag pushes a manifest.
func (c *client) tag(repository, tag string, manifest []byte) error {
	_, err := c.want(http.StatusCreated, request{
		method: http.MethodPut, path: "/v2/" + repository + "/manifests/" + tag, body: bytes.NewReader(manifest),
		size: int64(len(manifest)), header: map[string]string{"Content-Type": manifestType},
	})
	return err
}

// pullManifest reads a manifest, and is satisfied only with its very bytes.
func (c *client) pullManifest(repository, reference string, want []byte) error {
	got, err := c.want(http.StatusOK, request{
		method: http.MethodGet, path: "/v2/" + repository + "/manifests/" + reference,
		header: map[string]string{"Accept": manifestType},
	})
	if err == nil && !bytes.Equal(got.body, want) {
		err = fmt.Errorf("manifest %s:%s came as %q", repository, reference, got.body)
	}
	return err
}

// pullImage reads a manifest and all its blobs.
func (c *client) pullImage(repository, tag string, blobs ...blob) error {
	if err := c.pullManifest(repository, tag, manifest(blobs...)); err != nil {
		return err
	}
	for _, b := range blobs {
		if err := c.pull(repository, b); err != nil {
			return err
		}
	}
	return nil
}

// pushImage pushes blobs and the manifest that names them.
func (c *client) pushImage(repository, tag string, blobs ...blob) error {
	for _, b := range blobs {
		if err := c.pushWhole(repository, b); err != nil {
			return err
		}
	}
	return c.tag(repository, tag, manifest(blobs...))
}

// listed holds that the repository has these tags and is in the catalog.
func (c *client) listed(repository string, tags ...string) error {
	var list struct{ Tags []string }
	got, err := c.want(http.StatusOK, request{method: http.MethodGet, path: "/v2/" + repository + "/tags/list"})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(got.body, &list); err != nil || !slices.Equal(list.Tags, tags) {
		return fmt.Errorf("tags of %s are %q, want %q: %v", repository, list.Tags, tags, err)
	}
	var catalog struct{ Repositories []string }
	if got, err = c.want(http.StatusOK, request{method: http.MethodGet, path: "/v2/_catalog"}); err != nil {
		return err
	}
	if err := json.Unmarshal(got.body, &catalog); err != nil || !slices.Contains(catalog.Repositories, repository) {
		return fmt.Errorf("the catalog %q lacks %s: %v", catalog.Repositories, repository, err)
	}
	return nil
}

// delete deletes what is at a path of the repository, and gone holds that it is not there.
func (c *client) delete(repository, path string) error {
	_, err := c.want(http.StatusAccepted, request{method: http.MethodDelete, path: "/v2/" + repository + path})
	return err
}

func (c *client) gone(repository, path string) error {
	_, err := c.want(http.StatusNotFound, request{
		method: http.MethodGet, path: "/v2/" + repository + path, header: map[string]string{"Accept": manifestType},
	})
	return err
}

// finish goes on with an upload from where the registry says, which must not be before the bytes that it
// has acknowledged.
func (c *client) finish(location string, b blob, acknowledged int64) error {
	location, size, err := c.status(location)
	if err != nil {
		return err
	}
	if size < acknowledged || size > b.size {
		return fmt.Errorf("of an upload of which %d bytes were acknowledged there are %d", acknowledged, size)
	}
	return c.commit(location, b, size)
}
