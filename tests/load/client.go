package load

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

const (
	// requestTimeout turns a request that hangs into one that failed.
	requestTimeout = time.Minute

	// layerSize keeps thousands of images small, layers is how many each has.
	layerSize, layers = 4 << 10, 1

	// breather keeps clients of a registry that is away from counting failures as fast as they can.
	breather = 10 * time.Millisecond

	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// client is one of a crowd.
type client struct {
	crowd  *Crowd
	number int
	http   *http.Client
	// token is what the client shows in the place of its password, "" if it has none.
	token string
}

func newClient(crowd *Crowd, number int) *client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return crowd.options.Dial(ctx)
		},
		TLSClientConfig:   &tls.Config{RootCAs: crowd.options.Roots},
		ForceAttemptHTTP2: number%4 == 1,
		DisableKeepAlives: number%4 == 2,
	}
	return &client{crowd: crowd, number: number, http: &http.Client{Transport: transport, Timeout: requestTimeout}}
}

func (c *client) work() {
	defer c.http.CloseIdleConnections()
	for round := 0; ; round++ {
		select {
		case <-c.crowd.stop:
			return
		default:
		}
		repository := path.Join("load", c.crowd.options.User, fmt.Sprintf("c%d", c.number))
		if c.signIn(repository) && c.pushAndPull("/v2/"+repository, fmt.Sprintf("t%d", round)) {
			c.crowd.noteImage()
		} else {
			time.Sleep(breather)
		}
	}
}

// signIn fetches a token for a repository if this is one of the clients that use them.
func (c *client) signIn(repository string) bool {
	if !c.crowd.options.Tokens || c.number%2 == 0 {
		return true
	}
	c.token = ""
	body, ok := c.do(http.MethodGet, "/auth/token?scope=repository:"+repository+":pull,push", nil, http.StatusOK)
	if !ok {
		return false
	}
	var given struct{ Token string }
	if err := json.Unmarshal([]byte(body), &given); err != nil || given.Token == "" {
		c.crowd.note(fmt.Errorf("there is no token in %q: %w", body, err))
		return false
	}
	c.token = given.Token
	return true
}

// descriptor names a blob, as the image specification does.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

// pushAndPull says whether the image came back as it was sent.
func (c *client) pushAndPull(repository, tag string) bool {
	blobs := [][]byte{[]byte(`{"architecture":"amd64","os":"linux"}`)}
	for range layers {
		layer := make([]byte, layerSize)
		_, _ = rand.Read(layer) // it never fails
		blobs = append(blobs, layer)
	}
	var sent []descriptor
	for _, blob := range blobs {
		sent = append(sent, descriptor{"application/octet-stream", digest(blob), len(blob)})
		if !c.push(repository, blob) {
			return false
		}
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": sent[0], "layers": sent[1:],
	})
	if err != nil {
		c.crowd.note(err)
		return false
	}
	tagged := repository + "/manifests/" + tag
	if _, ok := c.do(http.MethodPut, tagged, manifest, http.StatusCreated); !ok {
		return false
	}
	if !c.pull(tagged, digest(manifest)) {
		return false
	}
	for _, blob := range sent {
		if !c.pull(repository+"/blobs/"+blob.Digest, blob.Digest) {
			return false
		}
	}
	return true
}

// push uploads a blob: every other client in a chunk of its own, as the docker client does, the
// others all at once.
func (c *client) push(repository string, blob []byte) bool {
	location, ok := c.do(http.MethodPost, repository+"/blobs/uploads/", nil, http.StatusAccepted)
	rest := blob
	if ok && c.number%2 == 0 {
		location, ok = c.do(http.MethodPatch, location, blob, http.StatusAccepted)
		rest = nil
	}
	if !ok {
		return false
	}
	_, ok = c.do(http.MethodPut, location+"&digest="+digest(blob), rest, http.StatusCreated)
	return ok
}

func (c *client) pull(path, want string) bool {
	body, ok := c.do(http.MethodGet, path, nil, http.StatusOK)
	if ok && digest([]byte(body)) != want {
		c.crowd.note(fmt.Errorf("GET %s: content has another digest", path))
		return false
	}
	return ok
}

// do sends one request. Where it goes as wanted the answer is the body of a GET and the place that any
// other one names.
func (c *client) do(method, path string, body []byte, want int) (answer string, ok bool) {
	passwords := c.crowd.knownPasswords()
	if c.token != "" {
		passwords = passwords[:1] // for which the token stands
	}
	for i, password := range passwords {
		answer, err := c.send(method, path, body, password, want)
		if errors.Is(err, errRefused) && i < len(passwords)-1 {
			c.crowd.noteRefused()
			continue
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w", method, path, err)
		}
		c.crowd.note(err)
		return answer, err == nil
	}
	return "", false
}

var errRefused = errors.New("password was refused")

func (c *client) send(method, path string, body []byte, password string, want int) (string, error) {
	request, err := http.NewRequest(method, c.crowd.options.URL+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.SetBasicAuth(c.crowd.options.User, password)
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	request.Header.Set("Accept", manifestType)
	if method == http.MethodPut || method == http.MethodPatch {
		request.Header.Set("Content-Type", contentType(path))
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return "", err
	}
	switch {
	case response.StatusCode == http.StatusUnauthorized:
		return "", errRefused
	case response.StatusCode != want:
		return "", fmt.Errorf("%s: %.200s", response.Status, content)
	case method == http.MethodGet:
		return string(content), nil
	}
	return place(response)
}

// place is the path and query that a response leads to.
func place(response *http.Response) (string, error) {
	location, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	return location.RequestURI(), nil
}

func contentType(path string) string {
	if strings.Contains(path, "/manifests/") {
		return manifestType
	}
	return "application/octet-stream"
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
