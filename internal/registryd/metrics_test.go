package registryd

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkInstrument shows what the metrics of a request cost.
func BenchmarkInstrument(b *testing.B) {
	handler := instrument("", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, path := range map[string]string{
		"manifest": "/v2/team/images/app/manifests/latest", "blob": "/v2/team/images/app/blobs/" + absentDigest, "tags": "/v2/team/app/tags/list",
	} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(w, r)
			}
		})
	}
}
