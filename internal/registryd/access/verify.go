package access

import (
	"context"
	"errors"
	"net/http"

	"github.com/distribution/distribution/v3/registry/api/errcode"
)

// verify refuses r unless user has that password.
func (c *Controller) verify(r *http.Request, user, password string) error {
	known, err := c.users.current()
	if err != nil {
		return err
	}
	hash, exists := known.hash(user)
	try := attempt{user: user, password: password, hash: hash, exists: exists, from: r.RemoteAddr}
	found, err := c.memory.check(r.Context(), try)
	count(string(found))
	if err == nil && found.good() {
		return nil
	}
	log := c.log.WithField("auth.user.name", shortened(user)).WithField("http.request.remoteaddr", r.RemoteAddr)
	switch {
	case errors.Is(err, errBusy):
		log.Warn("sign-in put off: too many are waiting")
		return &Refusal{Code: errcode.ErrorCodeTooManyRequests, reason: err.Error(), controller: c}
	case errors.Is(err, context.Canceled):
		return c.unauthorized("client is gone")
	case err != nil:
		return err
	case found == wrongAgain:
		return c.unauthorized("wrong user or password, the same as before")
	}
	log.Warn("wrong user or password")
	return c.unauthorized("wrong user or password")
}
