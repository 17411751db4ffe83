package swift

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	engine "docker-registry-operator/tests/engine/swift"
)

// keystone2 stands in for the version of Keystone that no current one speaks any more. It
// hands out tokens of a real Swift.
func keystone2(t *testing.T, server *engine.Server) *httptest.Server {
	t.Helper()
	storage, token, err := server.Authenticate(t.Context())
	check(t, err)
	stub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Auth struct {
				TenantName          string
				PasswordCredentials struct{ Username, Password string }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.URL.Path != "/v2.0/tokens" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		by := asked.Auth.PasswordCredentials
		if by.Username != server.User || by.Password != server.Password || asked.Auth.TenantName != "images" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access": map[string]any{
			"token": map[string]any{"id": token, "expires": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)},
			"serviceCatalog": []any{map[string]any{"type": "object-store", "endpoints": []any{
				map[string]any{"region": "RegionOne", "publicURL": storage},
			}}},
		}})
	}))
	t.Cleanup(stub.Close)
	return stub
}

func TestAuthenticationOfVersion2(t *testing.T) {
	server := start(t, engine.Options{})
	p := parameters(server)
	p.AuthURL, p.Tenant, p.Region = keystone2(t, server).URL+"/v2.0", "images", "RegionOne"
	d := opened(t, p)
	check(t, d.PutContent(t.Context(), "/a", []byte("text")))
	wantText(t, d, "/a", "text")

	p.Region = "RegionTwo"
	wantRefusal(t, p, `there is no object store in region "RegionTwo" of the catalogue`)
	p.Region, p.Tenant = "RegionOne", "others"
	wantRefusal(t, p, "Swift answers 401")
}
