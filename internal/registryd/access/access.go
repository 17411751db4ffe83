// Package access is the registry's own control of access: it tells users by a password file, and by a
// policy what each may do. It takes the place of distribution's controller "htpasswd" and adds another,
// "access". Whether a request is put before it at all is left to whoever answers the request.
package access

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/sirupsen/logrus"

	"docker-registry-operator/internal/policy"
	"docker-registry-operator/internal/registryd/route"
)

// Register makes the controllers known to distribution, which has one list of them for the whole process.
var Register = sync.OnceValue(func() error {
	for name, build := range map[string]auth.InitFunc{"htpasswd": newHtpasswd, "access": newAccess} {
		if err := auth.Register(name, build); err != nil {
			return fmt.Errorf("cannot register access controller: %w", err)
		}
	}
	return nil
})

// A Controller decides for one configuration. It implements auth.AccessController.
type Controller struct {
	realm string
	users *users
	// policy is what users may do; nil allows users everything.
	policy *policy.Policy
	// tokens makes and accepts tokens; nil does neither.
	tokens *tokens
	memory *Memory
	site   site
	log    *logrus.Entry
}

// identity is whose request it is.
type identity struct {
	user string // "" for nobody who signed in
	// claims are of the token that the request shows, if it does.
	claims *claims
}

// Authorized decides whether r may have all that is wanted. Without a wish it asks for a client to sign
// in, or for its token: by this clients learn how to. An error of type *Refusal says how to answer.
func (c *Controller) Authorized(r *http.Request, wanted ...auth.Access) (*auth.Grant, error) {
	who, err := c.identify(r)
	if err == nil {
		err = c.permit(who, normalize(r, wanted))
	}
	if err != nil {
		return nil, noted(r, err)
	}
	return &auth.Grant{User: auth.UserInfo{Name: who.user}}, nil
}

// Visible is which repositories the catalog may show to the user who sent r. An error is as of Authorized.
func (c *Controller) Visible(r *http.Request) (user string, visible func(repository string) bool, err error) {
	who, err := c.identify(r)
	if err != nil {
		return "", nil, noted(r, err)
	}
	if who.claims != nil && !who.claims.include(catalog) {
		return "", nil, noted(r, c.insufficient(catalog))
	}
	if !c.mayList(who.user) {
		return "", nil, noted(r, c.denied(who, catalog))
	}
	return who.user, func(repository string) bool {
		return c.allows(who.user, repository, policy.List) && c.allows(who.user, repository, policy.Pull)
	}, nil
}

// identify tells whose request r is. Credentials that are wrong are refused, even where none are needed:
// a client that believes to be signed in should learn that it is not.
func (c *Controller) identify(r *http.Request) (identity, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return identity{}, nil
	}
	if user, password, ok := r.BasicAuth(); ok {
		return identity{user: user}, c.verify(r, user, password)
	}
	scheme, token, _ := strings.Cut(header, " ")
	if c.tokens == nil || !strings.EqualFold(scheme, "bearer") {
		return identity{}, c.unauthorized("authorization is of another kind")
	}
	shown, err := c.tokens.verify(token)
	if err != nil {
		return identity{}, c.invalid(err)
	}
	if err := c.present(shown.Subject); err != nil {
		return identity{}, err
	}
	return identity{user: shown.Subject, claims: &shown}, nil
}

// present refuses the token of a user who has been removed since.
func (c *Controller) present(user string) error {
	if user == "" {
		return nil
	}
	known, err := c.users.current()
	if err != nil {
		return err
	}
	if _, ok := known.hash(user); !ok {
		return c.invalid(fmt.Errorf("user %q is gone", shortened(user)))
	}
	return nil
}

// permit refuses what the policy of this moment does not allow, whatever a token says.
func (c *Controller) permit(who identity, wanted []auth.Access) error {
	if len(wanted) == 0 && who == (identity{}) {
		return c.unauthorized("no credentials")
	}
	for _, access := range wanted {
		if !c.allowsAccess(who.user, access) {
			return c.denied(who, wanted...)
		}
	}
	for _, access := range wanted {
		if who.claims != nil && !who.claims.include(access) {
			return c.insufficient(wanted...)
		}
	}
	return nil
}

// allowsAccess decides about what distribution asks for. It asks for the catalog as a whole, and shows
// all of it.
func (c *Controller) allowsAccess(user string, access auth.Access) bool {
	if access.Type == catalog.Type {
		return access.Name == catalog.Name && c.seesAll(user)
	}
	return access.Type == repositoryType && c.allows(user, access.Name, policy.Action(access.Action))
}

func (c *Controller) allows(user, repository string, action policy.Action) bool {
	if c.policy == nil {
		return user != ""
	}
	return c.policy.Allows(user, repository, action)
}

func (c *Controller) mayList(user string) bool {
	if c.policy == nil {
		return user != ""
	}
	return c.policy.AllowsSome(user, policy.List)
}

func (c *Controller) seesAll(user string) bool {
	if c.policy == nil {
		return user != ""
	}
	return c.policy.AllowsAll(user, policy.List) && c.policy.AllowsAll(user, policy.Pull)
}

// normalize makes the end of an upload a part of pushing: distribution asks for the right to delete.
func normalize(r *http.Request, wanted []auth.Access) []auth.Access {
	if r.Method != http.MethodDelete || !route.IsUpload(r.URL.Path) {
		return wanted
	}
	pushing := make([]auth.Access, len(wanted))
	for i, access := range wanted {
		access.Action = string(policy.Push)
		pushing[i] = access
	}
	return pushing
}
