package registryd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

var (
	user  = &authn.Basic{Username: "user", Password: "secret"}
	other = &authn.Basic{Username: "other0", Password: "secret"}
	wrong = &authn.Basic{Username: "user", Password: "guess"}
)

const accessConfig = `
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: DIR/data}, delete: {enabled: true}}
auth: {access: {realm: test, users: DIR/htpasswd, policy: DIR/policy}}
http: {addr: "127.0.0.1:0", secret: shared}
`

// startAccess has the users user and other0, whose password is secret.
func startAccess(t *testing.T, policy string) *unit {
	t.Helper()
	u := prepare(t, t.TempDir())
	u.writePasswords(0)
	writeFile(t, u.path("policy"), []byte(policy))
	u.configure(accessConfig)
	u.start()
	return u
}

// push and pull are as clients of Go do it, which ask for tokens. The status is that of the refusal.
func (u *unit) push(repository string, auth authn.Authenticator) int {
	u.t.Helper()
	image, err := random.Image(512, 1)
	if err != nil {
		u.t.Fatal(err)
	}
	return u.exchange(repository, func(ref name.Reference) error { return remote.Write(ref, image, remote.WithAuth(auth)) })
}

func (u *unit) pull(repository string, auth authn.Authenticator) int {
	u.t.Helper()
	return u.exchange(repository, func(ref name.Reference) error {
		image, err := remote.Image(ref, remote.WithAuth(auth))
		if err != nil {
			return err
		}
		_, err = image.Layers()
		return err
	})
}

func (u *unit) exchange(repository string, do func(name.Reference) error) int {
	u.t.Helper()
	ref, err := name.ParseReference(u.server.Status().Addr+"/"+repository+":1", name.Insecure)
	if err != nil {
		u.t.Fatal(err)
	}
	err = do(ref)
	refused := (*transport.Error)(nil)
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &refused):
		return refused.StatusCode
	}
	u.t.Fatal(err)
	return 0
}

// TestAnonymousPullSignedInPush is what one registry is for: who has not signed in pulls, who has pushes.
func TestAnonymousPullSignedInPush(t *testing.T) {
	u := startAccess(t, "anonymous public/** pull\nuser ** push,delete\n")
	for _, test := range []struct {
		name string
		got  func() int
		want int
	}{
		{"push without signing in", func() int { return u.push("public/app", authn.Anonymous) }, 401},
		{"push with a wrong password", func() int { return u.push("public/app", wrong) }, 401},
		{"push by a user who may not", func() int { return u.push("public/app", other) }, 403},
		{"push", func() int { return u.push("public/app", user) }, 200},
		{"push of what is not public", func() int { return u.push("inner/app", user) }, 200},
		{"pull without signing in", func() int { return u.pull("public/app", authn.Anonymous) }, 200},
		{"pull by a user without a rule of his own", func() int { return u.pull("public/app", other) }, 200},
		{"pull with a wrong password", func() int { return u.pull("public/app", wrong) }, 401},
		{"pull without signing in of what is not public", func() int { return u.pull("inner/app", authn.Anonymous) }, 401},
		{"pull by a user who may not", func() int { return u.pull("inner/app", other) }, 403},
	} {
		if got := test.got(); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// send asks with basic credentials, or without if there is no user, and returns the code of the error.
func (u *unit) send(method, path, user string) (int, string) {
	u.t.Helper()
	request, err := http.NewRequestWithContext(u.t.Context(), method, u.url(path), nil)
	if err != nil {
		u.t.Fatal(err)
	}
	if user != "" {
		request.SetBasicAuth(user, "secret")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		u.t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct{ Errors []struct{ Code string } }
	if response.StatusCode < 400 {
		return response.StatusCode, response.Header.Get("WWW-Authenticate")
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || len(body.Errors) != 1 {
		u.t.Fatalf("%s %s: %s, answer with %d errors: %v", method, path, response.Status, len(body.Errors), err)
	}
	return response.StatusCode, body.Errors[0].Code
}

// TestRefusals looks at what clients are told that send basic credentials with each request.
func TestRefusals(t *testing.T) {
	u := startAccess(t, "anonymous public/** pull\nuser ** push\nuser ** list\nother0 public/** list\n")
	u.push("public/app", user)
	u.push("inner/app", user)
	for _, test := range []struct {
		method, path, user string
		status             int
		code               string
	}{
		{"GET", "/v2/", "", 401, "UNAUTHORIZED"},
		{"GET", "/v2/", "user", 200, ""},
		{"GET", "/v2/public/app/tags/list", "", 200, ""},
		{"GET", "/v2/inner/app/tags/list", "", 401, "UNAUTHORIZED"},
		{"GET", "/v2/inner/app/tags/list", "other0", 403, "DENIED"},
		{"GET", "/v2/inner/app/manifests/1", "other0", 403, "DENIED"},
		{"POST", "/v2/public/app/blobs/uploads/", "other0", 403, "DENIED"},
		{"POST", "/v2/public/app/blobs/uploads/?mount=sha256:" + strings.Repeat("0", 64) + "&from=inner/app", "other0", 403, "DENIED"},
		{"DELETE", "/v2/public/app/manifests/1", "user", 403, "DENIED"},
		{"GET", "/v2/_catalog", "", 401, "UNAUTHORIZED"},
		{"GET", "/v2/_catalog", "other0", 200, ""},
		{"GET", "/v2/_catalog", "user", 200, ""},
	} {
		if status, code := u.send(test.method, test.path, test.user); status != test.status || code != test.code {
			t.Errorf("%s %s as %q: %d %s, want %d %s", test.method, test.path, test.user, status, code, test.status, test.code)
		}
	}
}

// TestTokenOfAnotherUnit has a token of one unit be accepted by another with the same secret.
func TestTokenOfAnotherUnit(t *testing.T) {
	const policy = "anonymous public/** pull\nuser ** push\n"
	first, second := startAccess(t, policy), startAccess(t, policy)
	_, body := get(t, strings.Replace(first.url("/auth/token?scope=repository:public/app:pull"), "//", "//user:secret@", 1))
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(body), &token); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodGet, second.url("/v2/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token.Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("another unit answers with %s", response.Status)
	}
}

// TestPolicyUnderLoad changes policy and passwords while clients push and pull, of which none may fail.
// What changes is between asking for a token and its use every now and then.
func TestPolicyUnderLoad(t *testing.T) {
	const policy = "anonymous load/** pull\nuser load/** push\n"
	u := startAccess(t, policy)
	clients := startLoad(t, u.server.Status().Addr, 10, user)
	for n := range 20 {
		clients.await(t, 2)
		u.writePasswords(n)
		writeFile(t, u.path("policy"), fmt.Appendf(nil, "%suser%d ** pull\n%s", []string{"", "user ** delete\n"}[n%2], n, policy))
		if err := u.server.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	clients.await(t, 10)
	clients.stop(t)
}

// TestRefusedPolicy keeps what serves.
func TestRefusedPolicy(t *testing.T) {
	u := startAccess(t, "anonymous ** pull\n")
	writeFile(t, u.path("policy"), []byte("anonymous ** read\n"))
	err := u.server.Reload()
	if err == nil || !strings.Contains(err.Error(), `line 1: "read" is not an action; write pull, push, delete or list`) {
		t.Errorf("Reload: %v", err)
	}
	if status, _ := u.send(http.MethodGet, "/v2/none/tags/list", ""); status != http.StatusNotFound {
		t.Errorf("the former policy no longer serves: %d", status)
	}
}

// TestSignInsAreSeen looks at metrics and log after a wrong password, which is in neither.
func TestSignInsAreSeen(t *testing.T) {
	u := prepare(t, t.TempDir())
	u.writePasswords(0)
	debug := freeAddr(t)
	u.configure(withHTTP(`addr: "127.0.0.1:0", debug: {addr: "`+debug+`", prometheus: {enabled: true}}`) +
		"auth: {htpasswd: {realm: test, path: DIR/htpasswd}}\n")
	u.start()
	const guess = "correct horse"
	for _, password := range []string{guess, "secret", "secret"} {
		get(t, strings.Replace(u.url("/v2/"), "//", "//user:"+url.PathEscape(password)+"@", 1))
	}
	_, metrics := get(t, "http://"+debug+"/metrics")
	for _, outcome := range []string{"wrong", "verified", "remembered", "UNAUTHORIZED"} {
		if count := `registry_auth_outcomes_total{outcome="` + outcome + `"} `; !strings.Contains(metrics, count) || strings.Contains(metrics, count+"0") {
			t.Errorf("metrics do not have %s", count)
		}
	}
	if strings.Contains(u.log.String(), guess) || strings.Contains(metrics, guess) {
		t.Error("the log or the metrics tell the password")
	}
}
