package access

import (
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/sirupsen/logrus"

	"docker-registry-operator/internal/policy"
)

// handedName is the parameter by which Equip hands over what is in no configuration file.
const handedName = "registryd"

type handed struct {
	secret string
	site   site
	memory *Memory
	log    *logrus.Entry
}

// Equip is the auth section of conf with what a controller of this package needs beside it. Tokens are
// signed with a key that is derived from http.secret.
func Equip(conf *configuration.Configuration, memory *Memory, log *logrus.Entry) configuration.Auth {
	equipped := maps.Clone(conf.Auth)
	for name, parameters := range equipped {
		if name != "htpasswd" && name != "access" {
			continue
		}
		parameters = maps.Clone(parameters)
		if parameters == nil {
			parameters = make(configuration.Parameters)
		}
		prefix := "/" + strings.TrimLeft(conf.HTTP.Prefix, "/")
		parameters[handedName] = handed{
			secret: conf.HTTP.Secret, memory: memory, log: log,
			site: site{host: conf.HTTP.Host, prefix: strings.TrimRight(prefix, "/") + "/"},
		}
		equipped[name] = parameters
	}
	return equipped
}

// newHtpasswd is for the options of distribution's controller of that name, and does what that does, but
// for a file that is missing: that is an error, and no file with a password that the log tells.
func newHtpasswd(options map[string]any) (auth.AccessController, error) {
	return newController(options, "realm", "path")
}

// newAccess has the options realm, users, the path of a password file, and policy, the path of a policy.
// Without users nobody can sign in. Without a policy who signs in may do everything, and nobody else
// anything.
func newAccess(options map[string]any) (auth.AccessController, error) {
	c, err := newController(options, "realm", "users", "policy")
	if err != nil {
		return nil, err
	}
	if path := text(options, "policy"); path != "" {
		if c.policy, err = readPolicy(path); err != nil {
			return nil, err
		}
	}
	if c.users.path == "" && c.policy == nil {
		return nil, fmt.Errorf(`auth.access: set "users" to the path of a password file, or "policy" to that of a policy`)
	}
	if c.policy == nil {
		return c, nil
	}
	c.tokens, err = newTokens(options[handedName].(handed).secret, c.realm)
	return c, err
}

func newController(options map[string]any, names ...string) (*Controller, error) {
	given, ok := options[handedName].(handed)
	if !ok {
		return nil, fmt.Errorf("cannot control access: the server handed nothing over")
	}
	for _, name := range names {
		if value, set := options[name]; set && text(options, name) == "" {
			return nil, fmt.Errorf("option %q of auth is %v; write text that is not empty", name, value)
		}
	}
	if text(options, "realm") == "" {
		return nil, fmt.Errorf(`option "realm" of auth is missing; write a name for the registry`)
	}
	path := text(options, "users")
	if names[1] == "path" {
		if path = text(options, "path"); path == "" {
			return nil, fmt.Errorf(`option "path" of auth.htpasswd is missing; write the path of a password file`)
		}
	}
	c := &Controller{
		realm: text(options, "realm"), users: &users{path: path},
		memory: given.memory, site: given.site, log: given.log,
	}
	_, err := c.users.current()
	return c, err
}

func text(options map[string]any, name string) string {
	value, _ := options[name].(string)
	return value
}

func readPolicy(path string) (*policy.Policy, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read policy: %w", err)
	}
	parsed, err := policy.Parse(string(content))
	if err != nil {
		return nil, fmt.Errorf("cannot read policy %q: %w", path, err)
	}
	return &parsed, nil
}
