package upstream

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzChallenges reads challenges as a foreign registry may send them. What they ask for must be
// no more than they say, and no password may go where it is not trusted.
func FuzzChallenges(f *testing.F) {
	for _, seed := range []string{
		`Bearer realm="https://auth.test/token",service="registry",scope="repository:a:pull"`,
		`Basic realm="x"`, `Bearer realm=https://a , realm="https://b"`, `bearer`, `Bearer realm="`,
		`Bearer realm="http://[::1]:80/",scope=","`, "\x00", `Negotiate a==, Basic realm="\""`,
	} {
		f.Add(seed)
	}
	base := &url.URL{Scheme: "https", Host: "registry.test"}
	f.Fuzz(func(t *testing.T, header string) {
		response := &http.Response{Header: http.Header{"Www-Authenticate": {header}}}
		found := challengesOf(response)
		if len(found) != 1 {
			t.Fatalf("%d challenges", len(found))
		}
		for name, value := range found[0].parameters {
			if name != strings.ToLower(name) || !strings.Contains(header, value) {
				t.Errorf("%q: parameter %q is %q", header, name, value)
			}
		}
		realm, err := url.Parse(found[0].parameters["realm"])
		if err == nil && trusts(base, realm) && realm.Scheme != "https" {
			t.Errorf("%q: credentials in the clear", header)
		}
	})
}
