package desired

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
)

func TestDegrade(t *testing.T) {
	ready := Status{Active, "Ready at 10.0.0.5:5000 (http)."}
	public := &config.Mirror{URL: config.URL{Scheme: "https", Netloc: "m.example.com"}}
	private := &config.Mirror{URL: public.URL, Username: "ann", Password: config.NewSecret("hunter2")}
	for _, test := range []struct {
		name     string
		upstream Upstream
		mirror   *config.Mirror
		want     Status
	}{
		{"well", Upstream{}, private, ready},
		{"no cache any more", Upstream{UpstreamUnauthorized, "x"}, nil, ready},
		{"down", Upstream{UpstreamUnanswered, "connection refused"}, private,
			Status{Active, "Ready at 10.0.0.5:5000 (http). Upstream https://m.example.com does not answer: connection refused."}},
		{"wrong credentials", Upstream{UpstreamUnauthorized, "x"}, private, Status{Blocked,
			`Invalid charm config: option "cache-password": https://m.example.com refuses it with "cache-username"; set both as they are there. ` +
				`What is cached is served. Ready at 10.0.0.5:5000 (http).`}},
		{"no credentials", Upstream{UpstreamUnauthorized, "x"}, public, Status{Blocked,
			`Invalid charm config: option "cache-remoteurl": https://m.example.com asks for credentials; set "cache-username" and "cache-password". ` +
				`What is cached is served. Ready at 10.0.0.5:5000 (http).`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.upstream.Degrade(ready, test.mirror)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}
