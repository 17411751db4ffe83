package config

import (
	"strings"
	"unicode"
)

// bcryptLimit is how many bytes of a password bcrypt looks at.
const bcryptLimit = 72

// Auth says who may use the registry: users of its own, or those of a token service.
// None of either means everybody.
type Auth struct {
	// Basic is the user of the auth-basic-* options, nil if there is none. Related
	// applications are told of this one.
	Basic *Basic
	// Users are those of option auth-users, by name.
	Users []User
	// Policy is option auth-policy, nil if it is not set: whoever signs in may everything.
	Policy *Policy
	Token  *Token
}

// Own says that the registry has users or rules of its own beside those that distribution
// knows, which is one user who may everything.
func (a Auth) Own() bool { return a.Users != nil || a.Policy != nil }

// Passwords says that users sign in with passwords that the registry keeps.
func (a Auth) Passwords() bool { return a.Basic != nil || a.Own() }

// All are the users of both kinds of options, Basic first.
func (a Auth) All() []User {
	if a.Basic == nil {
		return a.Users
	}
	return append([]User{{Name: a.Basic.User, Password: a.Basic.Password}}, a.Users...)
}

// Basic is one user with a password.
type Basic struct {
	User     string
	Password Secret
}

// Token is a token service that the registry trusts.
type Token struct {
	// Realm is the absolute http or https URL where clients fetch tokens.
	Realm, Service, Issuer string
	// RootCerts is a PEM bundle of at least one certificate.
	RootCerts []byte
}

func (r *reader) auth() Auth {
	auth := Auth{Basic: r.basic(), Users: r.users(), Policy: r.policy(), Token: r.token()}
	if auth.Token != nil {
		const other = "must be empty when the auth-token-* options are set: the registry takes one kind of authentication"
		for _, s := range []setting{
			{"auth-basic-password", auth.Basic != nil},
			{"auth-users", auth.Users != nil},
			{"auth-policy", auth.Policy != nil},
		} {
			if s.set {
				r.complain(s.option, other)
			}
		}
	}
	r.distinctUsers(auth)
	return auth
}

// basic is on as soon as there is a password, because the user has a default.
func (r *reader) basic() *Basic {
	user, password := r.raw("auth-basic-user"), r.secret("auth-basic-password")
	if password.IsZero() {
		return nil
	}
	if len(password.Reveal()) > bcryptLimit {
		r.complain("auth-basic-password", "must not be longer than %d bytes", bcryptLimit)
	}
	if user == "" {
		r.complain("auth-basic-user", `must be set together with "auth-basic-password"`)
	} else if fault := userFault(user); fault != "" {
		r.complain("auth-basic-user", "%s", fault)
	}
	return &Basic{User: user, Password: password}
}

// userFault is why a name can be no user's in a password file, "" if it can.
func userFault(name string) string {
	switch {
	case strings.Contains(name, ":"):
		return "must not contain a colon"
	case strings.IndexFunc(name, unicode.IsSpace) >= 0 || !printable(name):
		return "must not contain blanks, line breaks or other control characters"
	case strings.HasPrefix(name, "#"):
		return "must not start with #, which makes a line of a password file a comment"
	}
	return ""
}

func (r *reader) token() *Token {
	before := len(r.problems)
	token := Token{
		Realm:     r.text("auth-token-realm"),
		Service:   r.text("auth-token-service"),
		Issuer:    r.text("auth-token-issuer"),
		RootCerts: r.blob("auth-token-root-certs"),
	}
	if len(r.problems) > before {
		return nil
	}
	given := r.together("token authentication",
		setting{"auth-token-realm", token.Realm != ""},
		setting{"auth-token-service", token.Service != ""},
		setting{"auth-token-issuer", token.Issuer != ""},
		setting{"auth-token-root-certs", token.RootCerts != nil},
	)
	if !given {
		return nil
	}
	if token.Realm != "" {
		if _, fault := parseURL(token.Realm); fault != "" {
			r.complain("auth-token-realm", "%s", fault)
		}
	}
	if token.RootCerts != nil {
		bundle, err := parseBundle(token.RootCerts)
		if err != nil {
			r.complain("auth-token-root-certs", "%v", err)
		}
		token.RootCerts = bundle
	}
	return &token
}

// setting is an option and whether it is set.
type setting struct {
	option string
	set    bool
}

// together complains of each setting that is missing while others of the same
// purpose are set, and says whether any is.
func (r *reader) together(purpose string, settings ...setting) bool {
	var set, missing []string
	for _, s := range settings {
		if s.set {
			set = append(set, `"`+s.option+`"`)
			continue
		}
		missing = append(missing, s.option)
	}
	if len(set) == 0 {
		return false
	}
	for _, option := range missing {
		r.complain(option, "must be set for %s, together with %s", purpose, strings.Join(set, ", "))
	}
	return true
}
