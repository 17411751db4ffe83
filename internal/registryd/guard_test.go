package registryd

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
)

// A web server in the place of an S3 service answers everything.
func TestStorageIsAWebServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer server.Close()
	driver, err := factory.Create(t.Context(), "s3", map[string]any{
		"regionendpoint": server.URL, "region": "us-east-1", "bucket": "images", "accesskey": "key", "secretkey": "secret",
		"forcepathstyle": true, "secure": false,
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := (guardedDriver{driver}).Stat(t.Context(), "/docker"); err == nil {
		t.Errorf("found %v", info)
	}
}
