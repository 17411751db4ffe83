package s3_test

import (
	"net/http"
	"testing"

	"docker-registry-operator/tests/engine/s3"
)

// TestRestart needs no signed requests: what is of interest is that the server is there and is gone.
func TestRestart(t *testing.T) {
	server, err := s3.Start(t.Context(), s3.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if err := server.MakeBucket("images"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		answer, err := http.Get(server.Endpoint + "/images")
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden {
			t.Errorf("a request that is not signed answers %s", answer.Status)
		}
		server.Kill()
		if answer, err := http.Get(server.Endpoint + "/images"); err == nil {
			_ = answer.Body.Close()
			t.Errorf("the killed server answers %s", answer.Status)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
