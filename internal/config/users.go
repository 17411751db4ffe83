package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"gopkg.in/yaml.v3"

	"docker-registry-operator/internal/policy"
)

// usersOption is filled by a whole secret, a user a key; every other option by the value
// of one key.
const usersOption = "auth-users"

// maxCost is the highest cost of a bcrypt hash that is taken. At 12 a sign-in takes about
// a quarter of a second of a processor, and with each further step twice as long.
const maxCost = 12

// User is one user of option auth-users. Either Password is set or Hash, its bcrypt hash.
type User struct {
	Name           string
	Password, Hash Secret
}

// Policy is who may do what with which repository.
type Policy struct {
	// Text is as the operator wrote it, Rules what it means.
	Text  string
	Rules policy.Policy
}

// Charm is the name of a user that the charm adds to those of the options, for its own
// actions.
const Charm = "juju-actions"

// users is option auth-users, nil if it is empty: the content of a secret, or a text.
func (r *reader) users() []User {
	var users []User
	if content, resolved := r.options[usersOption].(map[string]Secret); resolved {
		r.read[usersOption] = textKind
		for _, name := range slices.Sorted(maps.Keys(content)) {
			users = append(users, r.user(name, content[name].Reveal(), fmt.Sprintf("user %q", name)))
		}
		return users
	}
	var file yaml.Node
	if err := yaml.Unmarshal([]byte(r.raw(usersOption)), &file); err != nil {
		r.complain(usersOption, `is not valid YAML%s: write a line "user: password" for each user, in quotes what begins with a sign or holds " #" or ": "`, lineOf(err))
		return nil
	}
	if len(file.Content) == 0 || file.Content[0].Tag == "!!null" {
		return nil
	}
	return r.usersOf(file.Content[0])
}

func (r *reader) usersOf(file *yaml.Node) []User {
	if file.Kind != yaml.MappingNode {
		r.complain(usersOption, `must have a line "user: password" for each user, or be the URI of a secret`)
		return nil
	}
	var users []User
	seen := map[string]int{}
	for i := 0; i+1 < len(file.Content); i += 2 {
		name, value := file.Content[i], file.Content[i+1]
		if name.Kind != yaml.ScalarNode || value.Kind != yaml.ScalarNode || name.Value == "" {
			r.complain(usersOption, `line %d must be "user: password"; put a password that begins with a sign in quotes`, name.Line)
			continue
		}
		if first, twice := seen[name.Value]; twice {
			r.complain(usersOption, "user %q is on line %d and on line %d; leave one out", name.Value, first, name.Line)
			continue
		}
		seen[name.Value] = name.Line
		text := value.Value
		if value.Tag == "!!null" && value.Style == 0 {
			text = ""
		}
		users = append(users, r.user(name.Value, text, fmt.Sprintf("user %q on line %d", name.Value, name.Line)))
	}
	slices.SortFunc(users, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	return users
}

// user is one with the password or the hash that text is. where names him in complaints.
func (r *reader) user(name, text, where string) User {
	if fault := userFault(name); fault != "" {
		r.complain(usersOption, "%s: the name %s", where, fault)
	}
	if slices.Contains([]string{"anonymous", "*", Charm}, name) {
		r.complain(usersOption, "%s: the name has a meaning of its own; choose another one", where)
	}
	if fault := passwordFault(text); fault != "" {
		r.complain(usersOption, "%s: %s", where, fault)
		return User{Name: name}
	}
	if isBcrypt(text) {
		return User{Name: name, Hash: NewSecret(text)}
	}
	return User{Name: name, Password: NewSecret(text)}
}

// passwordFault is why text is neither a password nor a hash of one, "" if it is.
func passwordFault(text string) string {
	const advice = `type the password itself, or what "htpasswd -nbB -C 10 USER PASSWORD" prints behind the colon`
	switch {
	case text == "":
		return "there is no password; type one, or leave the user out"
	case !printable(text):
		return "the password must not contain control characters, such as a line break at its end"
	case foreignHash().MatchString(text):
		return "the password looks like a hash that is not bcrypt; " + advice
	case isBcrypt(text):
		cost, err := bcrypt.Cost([]byte(text))
		if err != nil || !wholeBcrypt().MatchString(text) {
			return "the bcrypt hash is incomplete; " + advice
		}
		if cost > maxCost {
			return fmt.Sprintf("the bcrypt hash has cost %d, which makes each sign-in take seconds; make one of cost %d at most, with htpasswd -nbB -C 10", cost, maxCost)
		}
	case len(text) > bcryptLimit:
		return fmt.Sprintf("the password must not be longer than %d bytes", bcryptLimit)
	}
	return ""
}

func isBcrypt(text string) bool { return regexp.MustCompile(`^\$2[a-z]?\$`).MatchString(text) }

// wholeBcrypt matches a hash as the registry verifies it.
func wholeBcrypt() *regexp.Regexp {
	return regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)
}

// foreignHash matches hashes of other kinds, which the registry would never find equal to
// a password.
func foreignHash() *regexp.Regexp {
	return regexp.MustCompile(`^(\$(apr1|1|5|6|y|7|argon2[a-z]*|pbkdf2[a-z0-9-]*|scrypt)\$|\{(SHA|SSHA|MD5|CRYPT|PLAIN)[0-9]*\})`)
}

// policy is option auth-policy, nil if it is empty. One of comments alone allows nothing.
func (r *reader) policy() *Policy {
	const name = "auth-policy"
	text := r.raw(name)
	if strings.TrimSpace(text) == "" {
		return nil
	}
	rules, err := policy.Parse(text)
	if mistakes := (policy.Mistakes)(nil); errors.As(err, &mistakes) {
		for _, mistake := range mistakes {
			r.complain(name, "%s", mistake)
		}
		return nil
	}
	return &Policy{Text: text, Rules: rules}
}

// distinctUsers complains of who is in both kinds of options.
func (r *reader) distinctUsers(auth Auth) {
	if auth.Basic == nil {
		return
	}
	if auth.Own() && slices.Contains([]string{"anonymous", "*", Charm}, auth.Basic.User) {
		r.complain("auth-basic-user", `the name has a meaning of its own with "auth-users" and "auth-policy"; choose another one`)
	}
	if slices.ContainsFunc(auth.Users, func(u User) bool { return u.Name == auth.Basic.User }) {
		r.complain(usersOption, `user %q is the one of "auth-basic-user" as well; leave him out here, or reset "auth-basic-password"`, auth.Basic.User)
	}
}
