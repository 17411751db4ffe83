package access

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzAuthorization sends headers that are nobody's.
func FuzzAuthorization(f *testing.F) {
	p := newPlace(f)
	p.memory.compare = func(hash, password []byte) error { return http.ErrNoCookie }
	c := p.controller("anonymous public/** pull\nci ** pull,push")
	for _, seed := range []string{
		"Basic Y2k6Y2k=", "Basic Og==", "basic", "Bearer", "Bearer a.b.c", "Digest x",
		"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJjaSJ9.", "bearer eyJhbGciOiJIUzI1NiJ9.e30.x",
	} {
		f.Add(seed, "app")
	}
	f.Fuzz(func(t *testing.T, header, repository string) {
		r := request("")
		r.Header.Set("Authorization", header)
		if grant, err := c.Authorized(r, on(repository, "pull", "push")...); err == nil {
			t.Errorf("%q may push as %q", header, grant.User.Name)
		}
		if _, err := c.Authorized(r); err == nil && header != "" {
			t.Errorf("%q signs in", header)
		}
	})
}

// FuzzToken changes a token that is good.
func FuzzToken(f *testing.F) {
	c := newPlace(f).controller("anonymous public/** pull\nci ** pull,push")
	token := tokenFor(f, c, "ci", "repository:app:pull")
	f.Add(token)
	f.Add(strings.ToUpper(token))
	f.Add(token + ".x")
	f.Add(`{"payload":"e30","signatures":[]}`)
	f.Fuzz(func(t *testing.T, changed string) {
		shown, err := c.tokens.verify(changed)
		if err == nil && shown.Subject != "ci" {
			t.Errorf("%q is accepted, and of %q", changed, shown.Subject)
		}
	})
}

// FuzzScope holds that what is understood is written and understood the same way again.
func FuzzScope(f *testing.F) {
	f.Add("repository:app:pull,push repository(plugin):host:5000/app:pull")
	f.Add("registry:catalog:*")
	f.Add(":: a:b a:b: ::,,")
	f.Fuzz(func(t *testing.T, text string) {
		wanted, err := parseScopes([]string{text})
		if err != nil || len(wanted) == 0 {
			return
		}
		written := formatScopes(wanted)
		again, err := parseScopes([]string{written})
		if err != nil {
			t.Fatalf("%q was written as %q: %v", text, written, err)
		}
		if diff := cmp.Diff(group(wanted), group(again)); diff != "" {
			t.Errorf("%q (-first +second):\n%s", text, diff)
		}
	})
}
