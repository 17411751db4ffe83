package access

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	v2 "github.com/distribution/distribution/v3/registry/api/v2"
	"github.com/distribution/distribution/v3/registry/auth"
)

// site is where clients reach the registry.
type site struct {
	// host is http.host of the configuration; without it each request says where it was sent.
	host string
	// prefix is http.prefix, with a slash at both ends.
	prefix string
}

// tokenPath is where tokens are to be had, below the prefix. distribution calls it so as well, where it is
// told to guess.
const tokenPath = "auth/token"

// challenge tells a client how to sign in. Only where something is allowed without, it is told to fetch a
// token: it fetches one without credentials too, while after a Basic challenge it does not pull without,
// and after none at all it does not push with them.
func (c *Controller) challenge(r *http.Request, problem string, wanted []auth.Access) string {
	if c.tokens == nil || !c.policy.Anonymous() {
		return fmt.Sprintf("Basic realm=%q", c.realm)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "Bearer realm=%q,service=%q", c.site.tokenURL(r), c.realm)
	if len(wanted) > 0 {
		fmt.Fprintf(&text, ",scope=%q", formatScopes(wanted))
	}
	if problem != "" {
		fmt.Fprintf(&text, ",error=%q", problem)
	}
	return text.String()
}

// tokenURL is the address of the tokens as the client of r sees it.
func (s site) tokenURL(r *http.Request) string {
	if s.host != "" {
		if host, err := url.Parse(s.host); err == nil {
			return host.JoinPath(tokenPath).String()
		}
	}
	base, err := v2.NewURLBuilderFromRequest(r, false).BuildBaseURL()
	if err != nil {
		return s.prefix + tokenPath
	}
	return strings.TrimSuffix(base, "v2/") + tokenPath
}
