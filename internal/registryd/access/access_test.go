package access

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"
)

const secret = "secret of http"

// line is that of a user whose password is his name twice.
func line(t testing.TB, user string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(user+user), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return user + ":" + string(hash) + "\n"
}

// place is a directory for the files of a controller.
type place struct {
	testing.TB
	dir    string
	memory *Memory
}

func newPlace(t testing.TB) place { return place{t, t.TempDir(), NewMemory()} }

func (p place) write(name, content string) string {
	p.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		p.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond) // until it is looked at again, and until a file system's clock has gone on
	return path
}

// equipped are the parameters of a controller as the server hands them over.
func (p place) equipped(name string, parameters configuration.Parameters) map[string]any {
	log := logrus.New()
	log.Out = io.Discard
	conf := &configuration.Configuration{Auth: configuration.Auth{name: parameters}}
	conf.HTTP.Secret = secret
	return Equip(conf, p.memory, logrus.NewEntry(log))[name]
}

// controller has the users ci and dev.
func (p place) controller(policy string) *Controller {
	p.Helper()
	parameters := configuration.Parameters{"realm": "test", "users": p.write("users", line(p, "ci")+line(p, "dev"))}
	if policy != "" {
		parameters["policy"] = p.write("policy", policy)
	}
	c, err := newAccess(p.equipped("access", parameters))
	if err != nil {
		p.Fatal(err)
	}
	return c.(*Controller)
}

func on(repository string, actions ...string) []auth.Access {
	var wanted []auth.Access
	for _, action := range actions {
		wanted = append(wanted, auth.Access{Resource: auth.Resource{Type: "repository", Name: repository}, Action: action})
	}
	return wanted
}

// request is by user, with the password that line gave him.
func request(user string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://registry.test:5000/v2/", nil)
	if user != "" {
		r.SetBasicAuth(user, user+user)
	}
	return r
}

func bearer(token string) *http.Request {
	r := request("")
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// ask returns the token for scopes, and the status.
func ask(t testing.TB, c *Controller, r *http.Request) (string, int) {
	t.Helper()
	recorder := httptest.NewRecorder()
	c.Tokens(http.NotFoundHandler()).ServeHTTP(recorder, r)
	var answer struct {
		Token string `json:"access_token"`
	}
	if recorder.Code == http.StatusOK {
		if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
	}
	return answer.Token, recorder.Code
}

func tokenFor(t testing.TB, c *Controller, user string, scopes ...string) string {
	t.Helper()
	r := request(user)
	r.URL = &url.URL{Path: "/auth/token", RawQuery: url.Values{"scope": scopes, "service": {"test"}}.Encode()}
	token, status := ask(t, c, r)
	if status != http.StatusOK {
		t.Fatalf("asked for a token for %q and got status %d", user, status)
	}
	return token
}

// verdictOf is the status and the challenge for a request.
func verdictOf(c *Controller, r *http.Request, wanted ...auth.Access) string {
	recorder := httptest.NewRecorder()
	Corrected(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := c.Authorized(r, wanted...)
		if err == nil {
			return
		}
		err.(auth.Challenge).SetHeaders(r, w)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "as distribution answers")
	})).ServeHTTP(recorder, r)
	return strings.TrimSpace(fmt.Sprint(recorder.Code, " ", recorder.Header().Get("WWW-Authenticate")))
}

const (
	example = "anonymous public/** pull\n* shared/** pull\nci team/** pull,push\nci ** list\ndev team/app delete\n"

	toToken = `401 Bearer realm="http://registry.test:5000/auth/token",service="test"`
)

func TestBasic(t *testing.T) {
	c := newPlace(t).controller(example)
	for _, test := range []struct {
		name   string
		r      *http.Request
		wanted []auth.Access
		want   string
	}{
		{"nobody at the door", request(""), nil, toToken},
		{"user at the door", request("ci"), nil, "200"},
		{"unknown user", request("eve"), nil, toToken},
		{"nobody pulls", request(""), on("public/app", "pull"), "200"},
		{"nobody pulls what is not public", request(""), on("shared/app", "pull"), toToken + `,scope="repository:shared/app:pull"`},
		{"nobody pushes", request(""), on("public/app", "pull", "push"), toToken + `,scope="repository:public/app:pull,push"`},
		{"wrong password for what is public", request("eve"), on("public/app", "pull"), toToken},
		{"user pulls what is public", request("dev"), on("public/app", "pull"), "200"},
		{"user pulls", request("dev"), on("shared/app", "pull"), "200"},
		{"user pushes", request("ci"), on("team/app", "pull", "push"), "200"},
		{"other user pushes", request("dev"), on("team/app", "pull", "push"), "403"},
		{"mount from where he may not pull", request("ci"), append(on("team/app", "pull", "push"), on("secret", "pull")...), "403"},
		{"mount from what is shared", request("ci"), append(on("team/app", "pull", "push"), on("shared/base", "pull")...), "200"},
		{"deletes", request("dev"), on("team/app", "delete"), "200"},
		{"pushes and does not delete", request("ci"), on("team/app", "delete"), "403"},
		{"catalog of which he sees a part", request("ci"), []auth.Access{catalog}, "403"},
		{"another type", request("ci"), []auth.Access{{Resource: auth.Resource{Type: "registry", Name: "other"}, Action: "*"}}, "403"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := verdictOf(c, test.r, test.wanted...); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestPushersEndUploads(t *testing.T) {
	c := newPlace(t).controller(example)
	r := request("ci")
	r.Method, r.URL.Path = http.MethodDelete, "/v2/team/app/blobs/uploads/1"
	if got := verdictOf(c, r, on("team/app", "delete")...); got != "200" {
		t.Errorf("who may push cannot end an upload: %s", got)
	}
	// A repository may be called like an upload.
	r.URL.Path = "/v2/team/app/blobs/uploads/x/manifests/latest"
	if got := verdictOf(c, r, on("team/app/blobs/uploads/x", "delete")...); got != "403" {
		t.Errorf("who may push may delete: %s", got)
	}
}

func TestWithoutPolicy(t *testing.T) {
	c := newPlace(t).controller("")
	const basic = `401 Basic realm="test"`
	for user, want := range map[string]string{"": basic, "ci": "200", "eve": basic} {
		for _, wanted := range [][]auth.Access{nil, on("app", "pull", "push", "delete"), {catalog}} {
			if got := verdictOf(c, request(user), wanted...); got != want {
				t.Errorf("user %q, %v: got %s, want %s", user, wanted, got, want)
			}
		}
	}
	if got := verdictOf(c, bearer("x")); got != basic {
		t.Errorf("a token: %s", got)
	}
}

func TestPolicyWithoutAnonymousAsksForBasic(t *testing.T) {
	c := newPlace(t).controller("ci ** pull")
	if got := verdictOf(c, request(""), on("app", "pull")...); got != `401 Basic realm="test"` {
		t.Error(got)
	}
	r := request("")
	r.URL = &url.URL{Path: "/auth/token"}
	if _, status := ask(t, c, r); status != http.StatusUnauthorized {
		t.Errorf("token for nobody: %d", status)
	}
}

func TestTokens(t *testing.T) {
	c := newPlace(t).controller(example)
	const insufficient = `,error="insufficient_scope"`
	for _, test := range []struct {
		name, user string
		scopes     []string
		wanted     []auth.Access
		want       string
	}{
		{"anonymous at the door", "", nil, nil, "200"},
		{"anonymous pulls", "", []string{"repository:public/app:pull"}, on("public/app", "pull"), "200"},
		{"anonymous pushes", "", []string{"repository:public/app:pull,push"}, on("public/app", "pull", "push"),
			toToken + `,scope="repository:public/app:pull,push"` + insufficient},
		{"user pushes", "ci", []string{"repository:team/app:push,pull"}, on("team/app", "pull", "push"), "200"},
		{"user pushes elsewhere", "ci", []string{"repository:team/app:push,pull"}, on("team/other", "pull", "push"),
			toToken + `,scope="repository:team/other:pull,push"` + insufficient},
		{"user pushes where he may not", "dev", []string{"repository:team/app:push,pull"}, on("team/app", "pull", "push"), "403"},
		{"mount", "ci", []string{"repository:team/app:push,pull repository:shared/base:pull"},
			append(on("team/app", "pull", "push"), on("shared/base", "pull")...), "200"},
		{"all actions", "dev", []string{"repository:team/app:*"}, on("team/app", "delete"), "200"},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := tokenFor(t, c, test.user, test.scopes...)
			if got := verdictOf(c, bearer(token), test.wanted...); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestPolicyOfThisMoment changes policy and users while tokens are out.
func TestPolicyOfThisMoment(t *testing.T) {
	p := newPlace(t)
	before := p.controller("anonymous ** pull\nci ** push")
	ours, public := tokenFor(t, before, "ci", "repository:app:pull,push"), tokenFor(t, before, "", "repository:app:pull")
	after := p.controller("anonymous public/** pull\nci ** pull")
	if got := verdictOf(after, bearer(ours), on("app", "pull")...); got != "200" {
		t.Errorf("what is still allowed: %s", got)
	}
	if got := verdictOf(after, bearer(ours), on("app", "pull", "push")...); got != "403" {
		t.Errorf("what is no longer allowed: %s", got)
	}
	if got := verdictOf(after, bearer(public), on("app", "pull")...); !strings.HasPrefix(got, "401 ") {
		t.Errorf("what is no longer public: %s", got)
	}
	p.write("users", line(t, "dev"))
	if got := verdictOf(after, bearer(ours), on("app", "pull")...); !strings.HasSuffix(got, `error="invalid_token"`) {
		t.Errorf("of a user who is gone: %s", got)
	}
}

func TestForeignTokens(t *testing.T) {
	p := newPlace(t)
	c := p.controller(example)
	mint := func(secret, service string, age time.Duration) string {
		t.Helper()
		maker, err := newTokens(secret, service)
		if err != nil {
			t.Fatal(err)
		}
		maker.now = func() time.Time { return time.Now().Add(-age) }
		token, err := maker.issue("ci", []permission{{"repository", "team/app", []string{"pull"}}})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := mint(secret, "test", 0)
	head, rest, _ := strings.Cut(good, ".")
	for name, token := range map[string]string{
		"expired": mint(secret, "test", tokenLife+2*leeway), "of the future": mint(secret, "test", -time.Hour),
		"for another service": mint(secret, "other", 0), "another secret": mint("other", "test", 0),
		"cut off": good[:len(good)-3], "changed": head + "." + "e30" + rest[strings.Index(rest, "."):],
		"unsigned": "eyJhbGciOiJub25lIn0." + rest, "nothing": "", "garbage": "a.b.c",
	} {
		if got := verdictOf(c, bearer(token), on("team/app", "pull")...); !strings.HasSuffix(got, `error="invalid_token"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, token := range map[string]string{"good": good, "clock that is behind": mint(secret, "test", -leeway/2)} {
		if got := verdictOf(c, bearer(token), on("team/app", "pull")...); got != "200" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestPasswordGrant(t *testing.T) {
	c := newPlace(t).controller(example)
	for _, test := range []struct {
		name string
		form url.Values
		want int
	}{
		{"right", url.Values{"grant_type": {"password"}, "username": {"ci"}, "password": {"cici"}, "scope": {"repository:team/app:pull"}}, 200},
		{"wrong", url.Values{"grant_type": {"password"}, "username": {"ci"}, "password": {"x"}}, 401},
		{"nobody", url.Values{"grant_type": {"password"}}, 405},
		{"refresh", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, 405},
		{"too long", url.Values{"grant_type": {strings.Repeat("x", maxForm)}}, 400},
		{"other service", url.Values{"grant_type": {"password"}, "username": {"ci"}, "password": {"cici"}, "service": {"x"}}, 400},
		{"bad scope", url.Values{"grant_type": {"password"}, "username": {"ci"}, "password": {"cici"}, "scope": {"x"}}, 400},
	} {
		r := httptest.NewRequest(http.MethodPost, "/auth/token", strings.NewReader(test.form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		token, status := ask(t, c, r)
		if status != test.want {
			t.Errorf("%s: status %d, want %d", test.name, status, test.want)
		}
		if status == 200 && verdictOf(c, bearer(token), on("team/app", "pull")...) != "200" {
			t.Errorf("%s: the token is no good", test.name)
		}
	}
	if _, status := ask(t, c, httptest.NewRequest(http.MethodPut, "/auth/token", nil)); status != 405 {
		t.Errorf("PUT: status %d", status)
	}
	if _, status := ask(t, c, httptest.NewRequest(http.MethodGet, "/auth/token/x", nil)); status != 404 {
		t.Errorf("another path: status %d", status)
	}
}

func TestVisible(t *testing.T) {
	c := newPlace(t).controller(example)
	all := []string{"public/app", "shared/app", "team/app", "other"}
	for user, want := range map[string][]string{"ci": all[:3], "dev": nil, "": nil} {
		_, visible, err := c.Visible(request(user))
		var got []string
		for _, repository := range all {
			if err == nil && visible(repository) {
				got = append(got, repository)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("user %q: error %v, (-want +got):\n%s", user, err, diff)
		}
	}
	if _, _, err := c.Visible(bearer(tokenFor(t, c, "ci", "registry:catalog:*"))); err != nil {
		t.Errorf("token for the catalog: %v", err)
	}
	if _, _, err := c.Visible(bearer(tokenFor(t, c, "ci", "repository:team/app:pull"))); err == nil {
		t.Error("token for a repository shows the catalog")
	}
}

// TestRealm is what a client is told behind a proxy.
func TestRealm(t *testing.T) {
	for _, test := range []struct {
		name    string
		host    string
		path    string
		headers map[string]string
		want    string
	}{
		{name: "plain", path: "/v2/", want: "http://registry.test:5000/auth/token"},
		{name: "below a prefix", path: "/x/v2/app/manifests/1", want: "http://registry.test:5000/x/auth/token"},
		{name: "http.host", host: "https://r.test/", path: "/v2/", want: "https://r.test/auth/token"},
		{name: "http.host with a prefix", host: "https://r.test/x", path: "/x/v2/", want: "https://r.test/x/auth/token"},
		{name: "forwarded", path: "/v2/", headers: map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "front.test, inner.test"},
			want: "https://front.test/auth/token"},
		{name: "RFC 7239", path: "/v2/", headers: map[string]string{"Forwarded": "proto=https;host=front.test"}, want: "https://front.test/auth/token"},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://registry.test:5000"+test.path, nil)
		for name, value := range test.headers {
			r.Header.Set(name, value)
		}
		if got := (site{host: test.host, prefix: "/"}).tokenURL(r); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
