package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/distribution/v3/registry/auth"

	"docker-registry-operator/internal/policy"
)

// maxForm bounds the body of a request for a token.
const maxForm = 64 << 10

// Tokens answers requests for tokens, if the controller accepts any, and leaves the others to next.
func (c *Controller) Tokens(next http.Handler) http.Handler {
	if c.tokens == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != c.site.prefix+tokenPath {
			next.ServeHTTP(w, r)
			return
		}
		c.serveToken(w, r)
	})
}

// A tokenRequest is one of https://distribution.github.io/distribution/spec/auth/token/ if it is sent by
// GET, and of https://distribution.github.io/distribution/spec/auth/oauth/ by POST.
type tokenRequest struct {
	user, password string // "" for nobody who signs in
	service        string
	scopes         []string
}

// serveToken gives a token for as much of what is asked for as is allowed. A client learns how much that
// is when it uses the token.
func (c *Controller) serveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	asked, err := readTokenRequest(w, r)
	if err == nil {
		err = c.identifyForToken(r, asked)
	}
	if err == nil {
		err = c.giveToken(w, asked)
	}
	if err != nil {
		c.refuseToken(w, r, err)
	}
}

// errAsked begins what is told to clients that ask wrongly.
var errAsked = errors.New("no token")

func (c *Controller) refuseToken(w http.ResponseWriter, r *http.Request, err error) {
	var refused *Refusal
	var coded errcode.Error
	switch {
	case errors.As(err, &refused) && refused.Code == errcode.ErrorCodeUnauthorized:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", c.realm))
		err = refused.Code
	case refused != nil:
		refused.SetHeaders(r, w)
		err = refused.Code
	case errors.As(err, &coded):
		err = coded
	case errors.Is(err, errAsked):
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	default:
		c.log.WithError(err).Error("cannot give token")
		err = errcode.ErrorCodeUnknown
	}
	if refused != nil {
		count(refused.Code.Descriptor().Value)
	}
	_ = errcode.ServeJSON(w, err) // a client that is gone needs no answer
}

func readTokenRequest(w http.ResponseWriter, r *http.Request) (tokenRequest, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return tokenRequest{}, fmt.Errorf("%w: the query cannot be read", errAsked)
		}
		user, password, _ := r.BasicAuth()
		return tokenRequest{user, password, query.Get("service"), query["scope"]}, nil
	case http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			return tokenRequest{}, fmt.Errorf("%w: the form cannot be read", errAsked)
		}
		// Without a token that lasts there is nothing to refresh. Clients go on by GET after this.
		if kind := r.PostForm.Get("grant_type"); kind != "password" || r.PostForm.Get("username") == "" {
			return tokenRequest{}, errcode.ErrorCodeUnsupported.WithMessage("grant_type must be password, with username and password")
		}
		form := r.PostForm
		return tokenRequest{form.Get("username"), form.Get("password"), form.Get("service"), form["scope"]}, nil
	}
	w.Header().Set("Allow", "GET, HEAD, POST")
	return tokenRequest{}, errcode.ErrorCodeUnsupported.WithMessage("tokens are asked for by GET or POST")
}

func (c *Controller) identifyForToken(r *http.Request, asked tokenRequest) error {
	_, _, basic := r.BasicAuth()
	switch {
	case asked.user != "" || basic:
		return c.verify(r, asked.user, asked.password)
	case r.Header.Get("Authorization") != "":
		return c.unauthorized("authorization is of another kind")
	case !c.policy.Anonymous():
		return c.unauthorized("no credentials")
	}
	return nil
}

func (c *Controller) giveToken(w http.ResponseWriter, asked tokenRequest) error {
	wanted, err := parseScopes(asked.scopes)
	if err != nil {
		return fmt.Errorf("%w: %w", errAsked, err)
	}
	if asked.service != "" && asked.service != c.realm {
		return fmt.Errorf("%w: service %q is not here; ask for %q", errAsked, shortened(asked.service), c.realm)
	}
	granted := c.grant(asked.user, wanted)
	token, err := c.tokens.issue(asked.user, group(granted))
	if err != nil {
		return err
	}
	count(tokenGiven)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client that is gone needs no answer
		"token": token, "access_token": token, "scope": formatScopes(granted),
		"expires_in": int(tokenLife.Seconds()), "issued_at": time.Now().UTC().Format(time.RFC3339),
	})
	return nil
}

// grant is what user may have of what is wanted.
func (c *Controller) grant(user string, wanted []auth.Access) []auth.Access {
	var granted []auth.Access
	for _, access := range wanted {
		switch {
		case access == catalog:
			if c.mayList(user) {
				granted = append(granted, access)
			}
		case access.Type == repositoryType && access.Action == anyAction:
			for _, action := range []policy.Action{policy.Pull, policy.Push, policy.Delete} {
				if c.allows(user, access.Name, action) {
					granted = append(granted, auth.Access{Resource: access.Resource, Action: string(action)})
				}
			}
		case access.Type == repositoryType && c.allows(user, access.Name, policy.Action(access.Action)):
			granted = append(granted, access)
		}
	}
	return granted
}
