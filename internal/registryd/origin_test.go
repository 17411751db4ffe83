package registryd_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/crypto/bcrypt"
)

// origin is a registry that caches take their content from. It is reached through a
// server of its own, which can be stopped and can have faults.
type origin struct {
	t        *testing.T
	registry *unit
	addr     string
	server   *http.Server
	back     http.Handler

	mu    sync.Mutex
	fault func(http.ResponseWriter, *http.Request) bool // says whether it has answered
	seen  []string
}

// newOrigin runs an origin whose registry has auth in its configuration. It issues
// tokens at /token, for the user "ann" with the password "s3cret".
func newOrigin(t *testing.T, auth string) *origin {
	t.Helper()
	o := &origin{t: t, addr: freeAddr(t), registry: prepare(t, t.TempDir())}
	hash, err := bcrypt.GenerateFromPassword([]byte("s3cret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, o.registry.path("htpasswd"), fmt.Appendf(nil, "ann:%s\n", hash))
	o.registry.writeCertificate(time.Hour)
	o.registry.configure(filesystem("127.0.0.1:0", strings.ReplaceAll(auth, "ORIGIN", o.url())))
	o.registry.start()
	target, err := url.Parse(o.registry.url(""))
	if err != nil {
		t.Fatal(err)
	}
	back := httputil.NewSingleHostReverseProxy(target)
	back.Transport = newTransport()
	o.back = back
	o.start()
	t.Cleanup(o.stop)
	return o
}

func (o *origin) url() string { return "http://" + o.addr }

func (o *origin) start() {
	o.t.Helper()
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		o.t.Fatal(err)
	}
	o.server = &http.Server{Handler: http.HandlerFunc(o.serve)}
	go func(server *http.Server) { _ = server.Serve(listener) }(o.server)
}

func (o *origin) stop() { _ = o.server.Close() }

// breakWith makes fault answer, nil that nothing is wrong.
func (o *origin) breakWith(fault func(http.ResponseWriter, *http.Request) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fault = fault
}

func (o *origin) serve(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	fault := o.fault
	o.seen = append(o.seen, r.Method+" "+r.URL.Path)
	o.mu.Unlock()
	switch {
	case r.URL.Path == "/token":
		o.issue(w, r)
	case fault == nil || !fault(w, r):
		o.back.ServeHTTP(w, r)
	}
}

// issue gives a token for pulling to who has the password.
func (o *origin) issue(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != "ann" || password != "s3cret" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	access := []map[string]any{}
	if parts := strings.Split(r.URL.Query().Get("scope"), ":"); len(parts) == 3 {
		access = append(access, map[string]any{"type": parts[0], "name": parts[1], "actions": strings.Split(parts[2], ",")})
	}
	token := o.sign(map[string]any{
		"iss": "issuer", "aud": "origin", "sub": "ann", "access": access,
		"nbf": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 3600})
}

// sign makes a token of ES256 (RFC 7518, section 3.4) with the registry's certificate.
func (o *origin) sign(claims map[string]any) string {
	read := func(file string) []byte {
		text, err := os.ReadFile(o.registry.path(file))
		if err != nil {
			o.t.Error(err)
		}
		block, _ := pem.Decode(text)
		return block.Bytes
	}
	parsed, err := x509.ParsePKCS8PrivateKey(read("key.pem"))
	if err != nil {
		o.t.Error(err)
	}
	header := map[string]any{"alg": "ES256", "typ": "JWT", "x5c": []string{base64.StdEncoding.EncodeToString(read("cert.pem"))}}
	part := func(value any) string {
		text, err := json.Marshal(value)
		if err != nil {
			o.t.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(header) + "." + part(claims)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, parsed.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		o.t.Error(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// push puts a new image into the origin, with the credentials of its registry.
func (o *origin) push(reference string, size int64, options ...remote.Option) v1.Image {
	o.t.Helper()
	image, err := random.Image(size, 1)
	if err != nil {
		o.t.Fatal(err)
	}
	ref, err := name.ParseReference(o.addr+"/"+reference, name.Insecure)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := remote.Write(ref, image, options...); err != nil {
		o.t.Fatalf("push: %v", err)
	}
	return image
}

func credentials(password string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: "ann", Password: password})
}

// cache is the configuration of a cache of o, with more settings of the section.
func (o *origin) cache(settings ...string) string {
	section := strings.Join(append([]string{"remoteurl: '" + o.url() + "'"}, settings...), ", ")
	return filesystem("127.0.0.1:0", "proxy: {"+section+"}\n")
}

// pull fails unless all of the image comes through u.
func pull(u *unit, reference string, want v1.Image) error {
	ref, err := name.ParseReference(u.server.Status().Addr+"/"+reference, name.Insecure)
	if err != nil {
		return err
	}
	transport := newTransport()
	defer transport.CloseIdleConnections()
	got, err := remote.Image(ref, remote.WithTransport(transport), remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryStatusCodes())
	if err != nil {
		return err
	}
	return compare(want, got)
}

// layerOf is the digest of the image's only layer.
func layerOf(t *testing.T, image v1.Image) v1.Hash {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// kept says whether u has a blob in its storage.
func (u *unit) kept(digest v1.Hash) bool {
	u.t.Helper()
	_, err := os.Stat(u.blobPath(digest))
	if err != nil && !os.IsNotExist(err) {
		u.t.Fatal(err)
	}
	return err == nil
}

func (u *unit) blobPath(digest v1.Hash) string {
	return u.path(fmt.Sprintf("data/docker/registry/v2/blobs/sha256/%s/%s/data", digest.Hex[:2], digest.Hex))
}

// until repeats check until it holds.
func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	for !check() {
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: never", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// isBlob is a fault's question whether the content of a blob is asked for.
func isBlob(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
}

// record is the answer of the registry behind o to r.
func (o *origin) record(r *http.Request) (http.Header, []byte) {
	response, err := http.DefaultClient.Do(func() *http.Request {
		out, err := http.NewRequest(http.MethodGet, o.registry.url(r.URL.Path), nil)
		if err != nil {
			o.t.Error(err)
		}
		return out
	}())
	if err != nil {
		o.t.Error(err)
		return http.Header{}, nil
	}
	defer response.Body.Close()
	var content bytes.Buffer
	if _, err := io.Copy(&content, response.Body); err != nil {
		o.t.Error(err)
	}
	return response.Header, content.Bytes()
}
