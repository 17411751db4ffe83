package access

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// tokenLife is long enough for an image to be looked up, and short because a token outlives the
	// password that it was given for. Clients fetch another when it ends.
	tokenLife = 5 * time.Minute
	// leeway is how far the clocks of units may differ.
	leeway = time.Minute
)

// claims are what a token says. It says nothing secret: whoever holds it may read it.
type claims struct {
	jwt.Claims
	Access []permission `json:"access"`
}

// include reports whether the token was made for access.
func (c *claims) include(access auth.Access) bool {
	return slices.ContainsFunc(c.Access, func(p permission) bool {
		return p.Type == access.Type && p.Name == access.Name &&
			(slices.Contains(p.Actions, access.Action) || slices.Contains(p.Actions, anyAction))
	})
}

// tokens makes tokens and verifies them. All that have the same secret accept each other's.
type tokens struct {
	signer  jose.Signer
	key     []byte
	service string
	now     func() time.Time
}

// newTokens derives the key from secret, so that a token tells nothing about what else the secret is for.
func newTokens(secret, service string) (*tokens, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "registry access tokens", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("cannot derive key of tokens: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot sign tokens: %w", err)
	}
	return &tokens{signer: signer, key: key, service: service, now: time.Now}, nil
}

// issue makes a token for user, "" for who has not signed in.
func (t *tokens) issue(user string, granted []permission) (string, error) {
	now := t.now()
	token, err := jwt.Signed(t.signer).Claims(claims{
		Claims: jwt.Claims{
			Subject: user, Audience: jwt.Audience{t.service},
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(tokenLife)),
		},
		Access: granted,
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("cannot make token: %w", err)
	}
	return token, nil
}

func (t *tokens) verify(token string) (claims, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return claims{}, errors.New("malformed")
	}
	var shown claims
	if err := parsed.Claims(t.key, &shown); err != nil {
		return claims{}, errors.New("not signed with the key of this registry")
	}
	if shown.Expiry == nil {
		return claims{}, errors.New("never expires")
	}
	expected := jwt.Expected{AnyAudience: jwt.Audience{t.service}, Time: t.now()}
	if err := shown.ValidateWithLeeway(expected, leeway); err != nil {
		return claims{}, err
	}
	return shown, nil
}
