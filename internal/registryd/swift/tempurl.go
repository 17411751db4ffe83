package swift

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ncw/swift/v2"
)

// validity is how long a temporary URL may be used: a client asks for a new one with every
// request.
const validity = 20 * time.Minute

const keyHeader = "X-Container-Meta-Temp-Url-Key"

// signer makes temporary URLs, by which clients read objects from Swift themselves.
// https://docs.openstack.org/swift/latest/api/temporary_url_middleware.html
type signer struct {
	store *store
	// own is the key to sign with; given says that the configuration demands it, otherwise
	// one that the container has already is used instead.
	own       string
	given     bool
	accessKey string

	mu  sync.Mutex
	key string // "" until the container was asked
}

// newSigner makes one key of the same credentials, so that all registries that share a
// container sign alike without telling each other.
func newSigner(s *store, p Parameters) *signer {
	made := hmac.New(sha256.New, []byte(p.Password))
	fmt.Fprintf(made, "temporary URLs of %q in %q", p.Container, p.AuthURL)
	signer := &signer{store: s, own: hex.EncodeToString(made.Sum(nil)), accessKey: p.AccessKey}
	if p.SecretKey != "" {
		signer.own, signer.given = p.SecretKey, true
	}
	return signer
}

// RedirectURL is where a client may read a file itself, "" if Swift does not offer that.
func (d *driver) RedirectURL(r *http.Request, path string) (string, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", nil
	}
	target, err := d.signer.url(r.Context(), d.layout.file(path))
	return target, d.failed("make a temporary URL of", path, err)
}

func (s *signer) url(ctx context.Context, object string) (string, error) {
	has, err := s.store.capabilities(ctx)
	if err != nil {
		return "", err
	}
	// A signature for GET is good for HEAD as well.
	if has.Temporary == nil || !slices.Contains(has.Temporary.Methods, http.MethodGet) {
		return "", nil
	}
	digest := digestOf(has.Temporary.Digests)
	key, err := s.agree(ctx)
	if err != nil || key == "" || digest == nil {
		return "", err
	}
	storage, err := s.store.conn.GetStorageUrl(ctx)
	if err != nil {
		return "", asRefused(err)
	}
	target, err := url.Parse(storage)
	if err != nil {
		return "", fmt.Errorf("cannot read the address of the object store: %w", err)
	}
	target = target.JoinPath(s.store.container, object)
	expires := time.Now().Add(validity).Unix()
	mac := hmac.New(digest, []byte(key))
	fmt.Fprintf(mac, "%s\n%d\n%s", http.MethodGet, expires, target.Path)
	signature := hex.EncodeToString(mac.Sum(nil))
	if s.accessKey != "" {
		signature = s.store.conn.TenantId + ":" + s.accessKey + ":" + signature
	}
	target.RawQuery = url.Values{
		"temp_url_sig":     {signature},
		"temp_url_expires": {strconv.FormatInt(expires, 10)},
	}.Encode()
	return target.String(), nil
}

// digestOf is the best of the digests that a service accepts, nil if none is known. One
// that names none is of a time when there was only SHA-1.
func digestOf(accepted []string) func() hash.Hash {
	switch {
	case slices.Contains(accepted, "sha256"):
		return sha256.New
	case slices.Contains(accepted, "sha512"):
		return sha512.New
	case len(accepted) == 0, slices.Contains(accepted, "sha1"):
		return sha1.New
	}
	return nil
}

// agree is the key that the container verifies signatures with, which is set if there is
// none. It is "" for a user who may not set it: then there are no temporary URLs.
func (s *signer) agree(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != "" {
		return s.key, nil
	}
	told, err := s.store.repeat(ctx, s.store.patience, request{method: http.MethodHead})
	if err != nil {
		return "", unfound(err, s.store.container)
	}
	key := told.headers[keyHeader]
	if key == "" || (s.given && key != s.own) {
		_, err := s.store.repeat(ctx, s.store.patience, request{
			method: http.MethodPost, headers: swift.Headers{keyHeader: s.own},
		})
		if err == refused(http.StatusForbidden) {
			return "", nil
		}
		if err != nil {
			return "", unfound(err, s.store.container)
		}
		key = s.own
	}
	s.key = key
	return key, nil
}
