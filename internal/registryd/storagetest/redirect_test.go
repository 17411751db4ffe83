package storagetest

import (
	"net/http"
	"net/url"
	"testing"
)

// TestRedirect sends clients to the storage for blobs, small and in segments, whole and in part, and from
// two registries at once, which must agree on what the storage takes.
func TestRedirect(t *testing.T) {
	each(t, remote, func(t *testing.T, b *backend) {
		storage := b.storage(directory(t), b.address)
		redirecting := section{"storage": section{"redirect": section{"disable": false}}}
		one := startRegistry(t, b, storage, redirecting).client()
		other := startRegistry(t, b, storage, redirecting).client()
		for _, layer := range []blob{newBlob(t, 's', 1000), newBlob(t, 't', 24*mebibyte+5)} {
			must(t, one.pushWhole("app", layer))
			for _, c := range []*client{one, other} {
				must(t, c.pull("app", layer))
				must(t, c.pullRange("app", layer, 17, 900))
				wantRedirect(t, c, layer, b.address)
			}
		}
	})
}

// wantRedirect wants a blob's address to be one of the storage.
func wantRedirect(t *testing.T, c *client, layer blob, address string) {
	t.Helper()
	follow := c.http.CheckRedirect
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { c.http.CheckRedirect = follow }()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		got, err := c.want(http.StatusTemporaryRedirect, request{method: method, path: "/v2/app/blobs/" + layer.digest})
		must(t, err)
		target, err := url.Parse(got.header.Get("Location"))
		must(t, err)
		if target.Host != address {
			t.Errorf("%s is sent to %s, want %s", method, target.Host, address)
		}
	}
}
