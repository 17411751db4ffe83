package registryd

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// newTestGate is the gate of a registry with the user ci, whose password is his name.
func newTestGate(t *testing.T, auth string) *gate {
	t.Helper()
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("ci"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	config := "version: 0.1\nstorage: inmemory\nlog: {level: error}\nhttp: {headers: {X-Own: [a]}}\n" + auth
	for name, content := range map[string]string{
		"users": "ci:" + string(hash), "policy": "anonymous public/** pull,list\nci ** pull\nci team/** list\n",
		"config.yml": strings.ReplaceAll(config, "DIR", dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newServer(Options{Log: &strings.Builder{}})
	t.Cleanup(func() { s.notifier.close(0) })
	g, err := s.build(filepath.Join(dir, "config.yml"), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	return g.gate
}

const (
	withPolicy = "auth: {access: {realm: r, users: DIR/users, policy: DIR/policy}}\n"
	withUsers  = "auth: {htpasswd: {realm: r, path: DIR/users}}\n"
)

func TestAdmit(t *testing.T) {
	for _, test := range []struct {
		auth, user, method, repository string
		want                           int
	}{
		{"", "", http.MethodGet, "app", 200},
		{withUsers, "", http.MethodGet, "app", 401},
		{withUsers, "ci", http.MethodDelete, "app", 200},
		{withPolicy, "", http.MethodGet, "public/app", 200},
		{withPolicy, "", http.MethodHead, "app", 401},
		{withPolicy, "ci", http.MethodGet, "app", 200},
		{withPolicy, "ci", http.MethodPut, "app", 403},
	} {
		r, w := httptest.NewRequest(test.method, "/v2/", nil), httptest.NewRecorder()
		if test.user != "" {
			r.SetBasicAuth(test.user, test.user)
		}
		user, ok := newTestGate(t, test.auth).Admit(w, r, access(test.method, test.repository)...)
		if w.Code != test.want || ok != (test.want == 200) || ok && user != test.user {
			t.Errorf("%+v: %q, %v, %d", test, user, ok, w.Code)
		}
		if w.Header().Get("X-Own") != "a" || w.Header().Get("Docker-Distribution-API-Version") == "" {
			t.Errorf("%+v: headers %v", test, w.Header())
		}
	}
}

func TestAdmitToCatalog(t *testing.T) {
	all := []string{"app", "public/app", "team/app"}
	for _, test := range []struct{ auth, user, want string }{
		{"", "", "app public/app team/app"},
		{withUsers, "", "401"},
		{withUsers, "ci", "app public/app team/app"},
		{withPolicy, "", "public/app"},
		{withPolicy, "ci", "public/app team/app"},
	} {
		r, w := httptest.NewRequest(http.MethodGet, "/v2/_catalog", nil), httptest.NewRecorder()
		if test.user != "" {
			r.SetBasicAuth(test.user, test.user)
		}
		visible, ok := newTestGate(t, test.auth).AdmitToCatalog(w, r)
		var got []string
		for _, repository := range all {
			if ok && visible(repository) {
				got = append(got, repository)
			}
		}
		if !ok {
			got = []string{w.Result().Status[:3]}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}
