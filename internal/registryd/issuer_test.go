package registryd_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// A signingKey is one with which an issuer signs, and the certificate that tells the registry of it.
type signingKey struct {
	crypto.Signer
	algorithm   jose.SignatureAlgorithm
	certificate []byte
}

func newKey(t *testing.T, algorithm jose.SignatureAlgorithm) signingKey {
	t.Helper()
	var signer crypto.Signer
	var err error
	if signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); algorithm == jose.RS256 {
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{signer, algorithm, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// sign makes a token as https://distribution.github.io/distribution/spec/auth/jwt/ has it.
func (k signingKey) sign(t *testing.T, c claims) string {
	t.Helper()
	key := jose.SigningKey{Algorithm: k.algorithm, Key: jose.JSONWebKey{Key: k.Signer, KeyID: token.GetJWKThumbprint(k.Public())}}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jwt.Signed(signer).Claims(c).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	NotBefore int64    `json:"nbf"`
	Expiry    int64    `json:"exp"`
	Access    []access `json:"access"`
}

type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// good are claims that allow a pull of app for an hour, but for what change does to them.
func good(change func(*claims)) claims {
	c := claims{
		Issuer: "issuer.test", Subject: "ci", Audience: "registry.test",
		NotBefore: time.Now().Unix(), Expiry: time.Now().Add(time.Hour).Unix(),
		Access: []access{{"repository", "app", []string{"pull"}}},
	}
	if change != nil {
		change(&c)
	}
	return c
}

// An issuer gives who knows the password of user whatever is asked for.
type issuer struct {
	*httptest.Server
	mu  sync.Mutex
	key signingKey
}

func newIssuer(t *testing.T, key signingKey) *issuer {
	t.Helper()
	i := &issuer{key: key}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		if name != user.Username || password != user.Password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		answer := map[string]string{"token": i.key.sign(t, good(func(c *claims) {
			c.Audience, c.Access = r.FormValue("service"), nil
			for _, scope := range r.Form["scope"] {
				parts := strings.Split(scope, ":")
				c.Access = append(c.Access, access{parts[0], parts[1], strings.Split(parts[2], ",")})
			}
		}))}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) rotate(key signingKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key = key
}

// startToken has a registry believe in the keys of trust.
func startToken(t *testing.T, realm string, trust ...signingKey) *unit {
	t.Helper()
	u := prepare(t, t.TempDir())
	u.trust(trust...)
	u.configure(fmt.Sprintf(`
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: DIR/data}}
auth: {token: {realm: %q, service: registry.test, issuer: issuer.test, rootcertbundle: DIR/bundle.pem}}
http: {addr: "127.0.0.1:0"}
`, realm))
	u.start()
	return u
}

func (u *unit) trust(keys ...signingKey) {
	u.t.Helper()
	var bundle []byte
	for _, key := range keys {
		bundle = append(bundle, key.certificate...)
	}
	writeFile(u.t, u.path("bundle.pem"), bundle)
}

// TestTokenIssuer pushes and pulls with tokens of an issuer, which changes its key meanwhile.
func TestTokenIssuer(t *testing.T) {
	for _, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256} {
		t.Run(string(algorithm), func(t *testing.T) {
			first, second := newKey(t, algorithm), newKey(t, algorithm)
			issuer := newIssuer(t, first)
			// Clients in Go refuse to be sent to another port of a private address, if it has no name.
			u := startToken(t, strings.Replace(issuer.URL, "127.0.0.1", "localhost", 1), first)
			want := func(what string, got, want int) {
				t.Helper()
				if got != want {
					t.Errorf("%s: %d, want %d", what, got, want)
				}
			}
			reload := func(trust ...signingKey) {
				t.Helper()
				u.trust(trust...)
				if err := u.server.Reload(); err != nil {
					t.Fatal(err)
				}
			}
			want("push", u.push("app", user), 200)
			want("wrong password", u.push("app", wrong), 401)
			reload(first, second)
			want("the first key of two", u.pull("app", user), 200)
			issuer.rotate(second)
			want("the second key of two", u.pull("app", user), 200)
			reload(second)
			want("the second key alone", u.pull("app", user), 200)
			issuer.rotate(first)
			want("a key that is no longer trusted", u.pull("app", user), 401)
		})
	}
}

// TestForeignTokens shows a registry tokens that it must not believe.
func TestForeignTokens(t *testing.T) {
	trusted, ec, forger := newKey(t, jose.RS256), newKey(t, jose.ES256), newKey(t, jose.RS256)
	u := startToken(t, "https://issuer.test/token", trusted, ec)
	claimed := trusted.sign(t, good(nil))
	for _, test := range []struct {
		name, token string
		want        int
	}{
		{"good, RSA", claimed, 404},
		{"good, ECDSA", ec.sign(t, good(nil)), 404},
		{"forged", forger.sign(t, good(nil)), 401},
		{"signature of another", claimed[:strings.LastIndex(claimed, ".")] + forgedSignature(t, forger), 401},
		{"expired", trusted.sign(t, good(func(c *claims) { c.Expiry = time.Now().Add(-time.Hour).Unix() })), 401},
		{"not yet valid", trusted.sign(t, good(func(c *claims) { c.NotBefore = time.Now().Add(time.Hour).Unix() })), 401},
		{"wrong audience", trusted.sign(t, good(func(c *claims) { c.Audience = "other.test" })), 401},
		{"wrong issuer", trusted.sign(t, good(func(c *claims) { c.Issuer = "other.test" })), 401},
		{"for another repository", trusted.sign(t, good(func(c *claims) { c.Access[0].Name = "other" })), 401},
		{"for another action", trusted.sign(t, good(func(c *claims) { c.Access[0].Actions = []string{"push"} })), 401},
		{"for nothing", trusted.sign(t, good(func(c *claims) { c.Access = nil })), 401},
		{"no token", "", 401},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.url("/v2/app/tags/list"), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+test.token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != test.want {
			t.Errorf("%s: %s, want %d", test.name, response.Status, test.want)
		}
		challenge := response.Header.Get("WWW-Authenticate")
		if wanted := `Bearer realm="https://issuer.test/token",service="registry.test"`; test.want == 401 && !strings.HasPrefix(challenge, wanted) {
			t.Errorf("%s: challenge %s", test.name, challenge)
		}
	}
}

func forgedSignature(t *testing.T, key signingKey) string {
	signed := key.sign(t, good(nil))
	return signed[strings.LastIndex(signed, "."):]
}
