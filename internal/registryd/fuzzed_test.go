package registryd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	v2 "github.com/distribution/distribution/v3/registry/api/v2"
	"github.com/distribution/reference"
	"github.com/gorilla/mux"
	"golang.org/x/crypto/bcrypt"

	"docker-registry-operator/internal/policy"
)

// fuzzRules are of a registry where some may do everything and others little.
const fuzzRules = "anonymous public/** pull\nci ** push\nann team/app push,delete\n* ** list\n"

// fuzzUsers have their names as passwords.
var fuzzUsers = []string{"ci", "ann"}

// fuzzed is a registry that nobody listens for, and what is known of it.
type fuzzed struct {
	handler http.Handler
	g       *generation
	// outside is the directory that holds the root of the storage and nothing else.
	outside string
	// policy says who may do what, nil that everybody may do everything.
	policy *policy.Policy
	router *mux.Router
	log    record
	// changed says that the storage does not hold the sample image alone.
	changed bool
	// tokens are those that were given, with their users.
	tokens  map[string]string
	clients int
}

// newFuzzed makes a registry: a guarded one has users and a policy, the other lets everybody in.
func newFuzzed(f *testing.F, guarded bool) *fuzzed {
	f.Helper()
	dir := f.TempDir()
	config := "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n" +
		"storage: {filesystem: {rootdirectory: DIR/outside/root}, delete: {enabled: true}}\n"
	registry := &fuzzed{router: v2.Router(), outside: filepath.Join(dir, "outside"), changed: true}
	if guarded {
		config += "auth: {access: {realm: test, users: DIR/users, policy: DIR/policy}}\n"
		allowed, err := policy.Parse(fuzzRules)
		if err != nil {
			f.Fatal(err)
		}
		registry.policy = &allowed
		var users []byte
		for _, user := range fuzzUsers {
			hash, err := bcrypt.GenerateFromPassword([]byte(user), bcrypt.MinCost)
			if err != nil {
				f.Fatal(err)
			}
			users = fmt.Appendf(users, "%s:%s\n", user, hash)
		}
		put(f, dir, "users", string(users))
		put(f, dir, "policy", fuzzRules)
	}
	path := put(f, dir, "config.yml", strings.ReplaceAll(config, "DIR", dir))
	s := newServer(Options{Config: path, Log: &registry.log})
	g, err := s.build(path, 1, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := g.close(); err != nil {
			f.Error(err)
		}
	})
	registry.g, registry.handler = g, g.handler
	return registry
}

func put(f *testing.F, dir, name, content string) string {
	f.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		f.Fatal(err)
	}
	return path
}

// record is a log that can be shown.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps p.
func (l *record) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// begin lets the registry hold the sample image alone.
func (r *fuzzed) begin(t *testing.T) {
	t.Helper()
	r.log.text.Reset()
	r.tokens = make(map[string]string)
	r.clients++
	if !r.changed {
		return
	}
	_ = r.g.app.driver.Delete(context.Background(), "/docker") // there may be none
	image := sampleImage()
	s := newSession(t, r, nil, "")
	for _, repository := range []string{"team/app", "public/lib"} {
		s.pushImage(repository, "latest", image)
	}
	if t.Failed() {
		t.FailNow()
	}
	r.changed = false
}

// end looks at what was written.
func (r *fuzzed) end(t *testing.T) {
	t.Helper()
	if t.Failed() {
		t.Logf("log: %s", r.log.text.Bytes())
		r.changed = true
	}
	if !r.changed {
		return
	}
	for _, level := range []struct {
		path string
		may  []string
	}{
		{"", []string{"root"}},
		{"root", []string{"docker"}},
		{"root/docker", []string{"registry"}},
		{"root/docker/registry", []string{"v2"}},
		{"root/docker/registry/v2", []string{"blobs", "repositories"}},
		{"root/docker/registry/v2/blobs", []string{"sha256", "sha384", "sha512"}},
	} {
		for _, entry := range entries(t, filepath.Join(r.outside, level.path)) {
			if !slices.Contains(level.may, entry) {
				t.Errorf("storage has %q in %q", entry, level.path)
			}
		}
	}
	r.checkRepositories(t, "")
}

// checkRepositories wants names of repositories that are names. What is above one alone need not be: a domain
// may have capital letters.
func (r *fuzzed) checkRepositories(t *testing.T, below string) {
	t.Helper()
	for _, entry := range entries(t, filepath.Join(r.outside, "root/docker/registry/v2/repositories", below)) {
		if !slices.Contains([]string{"_layers", "_manifests", "_uploads"}, entry) {
			r.checkRepositories(t, strings.TrimPrefix(below+"/"+entry, "/"))
			continue
		}
		if _, err := reference.WithName(below); err != nil {
			t.Errorf("storage has a repository %q: %v", below, err)
		}
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Error(err)
	}
	var names []string
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}

// serve has the registry answer the next request of input. The error is errNoRequest if there is none.
func (r *fuzzed) serve(t *testing.T, input *bufio.Reader) (*strict, error) {
	t.Helper()
	request, err := http.ReadRequest(input)
	if err != nil {
		return nil, errNoRequest
	}
	// Each input comes from an address of its own, so that no guess of one slows the next.
	request.RemoteAddr = fmt.Sprintf("[2001:db8:%x:%x::1]:1", r.clients>>16&0xffff, r.clients&0xffff)
	answer := &strict{ResponseRecorder: httptest.NewRecorder(), t: t}
	asked, body := *request.URL, request.Body
	ctx, leave := context.WithCancel(request.Context())
	defer leave()
	request = request.WithContext(ctx)
	sent := &cut{ReadCloser: body, leave: leave}
	request.Body = sent
	user, known := r.user(request)
	func() {
		defer func() {
			if cause := recover(); cause != nil {
				t.Errorf("panic: %v\n%s", cause, r.log.text.Bytes())
			}
		}()
		r.handler.ServeHTTP(answer, request)
	}()
	if answer.Code < 300 && request.Method != http.MethodGet && request.Method != http.MethodHead {
		r.changed = true
	}
	request.URL = &asked
	if asked.Path == "/auth/token" && request.Method == http.MethodPost {
		user, known = userOfForm(sent.read.String())
	}
	r.noteToken(t, request, user, known, answer)
	if ctx.Err() == nil {
		r.check(t, request, user, known, answer)
	}
	_ = body.Close() // what the registry has left of it is not of the next request
	return answer, nil
}

// cut is a body whose client is gone when it breaks off, as net/http has it. It remembers what was read.
type cut struct {
	io.ReadCloser
	leave func()
	read  bytes.Buffer
}

// Read reads on.
func (b *cut) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Write(p[:n])
	if err != nil && err != io.EOF {
		b.leave()
	}
	return n, err
}

// user is whose request it is, and whether the registry knows him.
func (r *fuzzed) user(request *http.Request) (string, bool) {
	header := request.Header.Get("Authorization")
	if header == "" || r.policy == nil {
		return "", true
	}
	if user, password, ok := request.BasicAuth(); ok {
		return user, signsIn(user, password)
	}
	scheme, token, _ := strings.Cut(header, " ")
	user, ok := r.tokens[token]
	return user, ok && strings.EqualFold(scheme, "bearer")
}

// userOfForm is who asks for a token by a form.
func userOfForm(text string) (string, bool) {
	form, err := url.ParseQuery(text)
	user := form.Get("username")
	return user, err == nil && signsIn(user, form.Get("password"))
}

// signsIn says whether the password is the user's: it is his name.
func signsIn(user, password string) bool { return slices.Contains(fuzzUsers, user) && password == user }

// noteToken remembers whose a token is, and wants that it was given to somebody who is known.
func (r *fuzzed) noteToken(t *testing.T, request *http.Request, user string, known bool, answer *strict) {
	t.Helper()
	var given struct{ Token string }
	if request.URL.Path != "/auth/token" || answer.Code != http.StatusOK || json.Unmarshal(answer.Body.Bytes(), &given) != nil || given.Token == "" {
		return
	}
	if !known {
		t.Errorf("token for %q by %s %s %v", user, request.Method, request.URL, request.Header)
	}
	r.tokens[given.Token] = user
}

// check wants that the answer is one and no error of the server's own, that it says what is wrong in the form
// that the specification has, and that nobody is given more than the policy allows.
func (r *fuzzed) check(t *testing.T, request *http.Request, user string, known bool, answer *strict) {
	t.Helper()
	fail := func(format string, arguments ...any) {
		t.Helper()
		t.Errorf("%s %s %v: %d %v %q: %s", request.Method, request.URL, request.Header, answer.Code, answer.Header(), answer.Body, fmt.Sprintf(format, arguments...))
	}
	if answer.Code < 200 || answer.Code >= 500 {
		fail("status")
	}
	var match mux.RouteMatch
	body := answer.Body.Bytes()
	if promised := answer.Header().Get("Content-Length"); promised != "" && len(body) > 0 && promised != strconv.Itoa(len(body)) {
		fail("%d bytes", len(body))
	}
	if answer.Code >= 400 && len(body) > 0 && request.Method != http.MethodHead {
		if fault := faultOf(answer); fault != "" {
			fail("%s", fault)
		}
	}
	if answer.Code >= 300 && answer.Code != http.StatusNotModified || r.policy == nil || !strings.HasPrefix(request.URL.Path, "/v2/") {
		return
	}
	if !known {
		fail("answered for somebody who is not known")
	}
	if request.Method == http.MethodOptions || !r.router.Match(request, &match) || match.Route == nil {
		return
	}
	if name := match.Vars["name"]; name != "" {
		action := actionOf(request, match.Route.GetName())
		if !r.policy.Allows(user, name, action) {
			fail("%q may not %s", user, action)
		}
		if source := request.URL.Query().Get("from"); source != "" && answer.Code == http.StatusCreated && !r.policy.Allows(user, source, policy.Pull) {
			fail("%q may not pull from %q", user, source)
		}
	}
}

func actionOf(request *http.Request, route string) policy.Action {
	switch request.Method {
	case http.MethodGet, http.MethodHead:
		return policy.Pull
	case http.MethodDelete:
		if route != v2.RouteNameBlobUploadChunk {
			return policy.Delete
		}
	}
	return policy.Push
}

// faultOf is what is wrong with the form of an error. It may be plain text, or else what the specification says:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
func faultOf(answer *strict) string {
	kind, _, err := mime.ParseMediaType(answer.Header().Get("Content-Type"))
	if err != nil || kind != "application/json" && kind != "text/plain" {
		return "an error that is neither JSON nor text"
	}
	if kind == "text/plain" {
		return ""
	}
	var told struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &told); err != nil {
		return err.Error()
	}
	if len(told.Errors) == 0 || told.Errors[0].Code == "" || told.Errors[0].Code == errcode.ErrorCodeUnknown.Descriptor().Value {
		return "an error that is none"
	}
	return ""
}

// strict is an answer that is begun once.
type strict struct {
	*httptest.ResponseRecorder
	t     *testing.T
	begun bool
}

// WriteHeader begins the answer.
func (a *strict) WriteHeader(status int) {
	a.t.Helper()
	if a.begun {
		a.t.Errorf("answer was begun with %d and again with %d", a.Code, status)
	}
	a.begun = true
	a.ResponseRecorder.WriteHeader(status)
}

// Write begins the answer if it is not begun.
func (a *strict) Write(p []byte) (int, error) {
	a.begun = true
	return a.ResponseRecorder.Write(p)
}

// image is what clients push.
type image struct{ config, layer, manifest []byte }

// sampleImage is in the registry before anything is asked for.
func sampleImage() image {
	i := image{config: []byte(`{"architecture":"amd64","os":"linux"}`), layer: []byte("layer")}
	i.manifest = fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`,
		digestOf(i.config), len(i.config), digestOf(i.layer), len(i.layer))
	return i
}
