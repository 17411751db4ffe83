package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
)

// hashed is a bcrypt hash of "hunter2" at a cost, as far as its form tells.
func hashed(cost string) string { return "$2y$" + cost + "$" + strings.Repeat("a", 53) }

func TestParseUsers(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     []User
	}{
		{"none", "", nil},
		{"comments", "# nobody\n", nil},
		{"sorted", "ci: builds\nbob: hunter2\n", []User{{Name: "bob", Password: NewSecret("hunter2")}, {Name: "ci", Password: NewSecret("builds")}}},
		{"hash", "bob: " + hashed("10"), []User{{Name: "bob", Hash: NewSecret(hashed("10"))}}},
		{"as it is typed", "a: 0123\nb: yes\nc: 1e3\nd: \"null\"\n5: x y\n", []User{
			{Name: "5", Password: NewSecret("x y")}, {Name: "a", Password: NewSecret("0123")}, {Name: "b", Password: NewSecret("yes")},
			{Name: "c", Password: NewSecret("1e3")}, {Name: "d", Password: NewSecret("null")},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(with(t, Options{"auth-users": test.in}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Auth.Users, cmp.Comparer(Secret.Equal)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Auth.Own() != (test.want != nil) || got.Auth.Passwords() != got.Auth.Own() {
				t.Errorf("own users: %t, passwords: %t", got.Auth.Own(), got.Auth.Passwords())
			}
		})
	}
}

func TestParseUsersBesideTheBasicOne(t *testing.T) {
	got, err := Parse(with(t, Options{"auth-basic-password": "s3cret", "auth-users": "ci: builds", "auth-policy": "ci * pull\n"}))
	if err != nil {
		t.Fatal(err)
	}
	want := []User{{Name: "admin", Password: NewSecret("s3cret")}, {Name: "ci", Password: NewSecret("builds")}}
	if diff := cmp.Diff(want, got.Auth.All(), cmp.Comparer(Secret.Equal)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if policy := got.Auth.Policy; policy == nil || policy.Text != "ci * pull\n" || !policy.Rules.Allows("ci", "app", "pull") {
		t.Errorf("policy %+v", policy)
	}
}

func TestParseRefusesUsers(t *testing.T) {
	const advice = `; type the password itself, or what "htpasswd -nbB -C 10 USER PASSWORD" prints behind the colon`
	const yaml = `option "auth-users": is not valid YAML: write a line "user: password" for each user, in quotes what begins with a sign or holds " #" or ": "`
	for _, test := range []struct{ name, in, want string }{
		{"no map", "hunter2", `option "auth-users": must have a line "user: password" for each user, or be the URI of a secret`},
		{"no YAML", "ci: hunter2: x", yaml},
		{"sign", "ci: @hunter2", yaml},
		{"nested", "ci:\n  hunter2: x", `option "auth-users": line 1 must be "user: password"; put a password that begins with a sign in quotes`},
		{"no password", "ci:", `option "auth-users": user "ci" on line 1: there is no password; type one, or leave the user out`},
		{"twice", "ci: a\nbob: b\nci: hunter2", `option "auth-users": user "ci" is on line 1 and on line 3; leave one out`},
		{"colon", "'a:b': hunter2", `option "auth-users": user "a:b" on line 1: the name must not contain a colon`},
		{"anonymous", "anonymous: hunter2", `option "auth-users": user "anonymous" on line 1: the name has a meaning of its own; choose another one`},
		{"the charm's", "juju-actions: hunter2", `option "auth-users": user "juju-actions" on line 1: the name has a meaning of its own; choose another one`},
		{"admin", "admin: x", `option "auth-users": user "admin" is the one of "auth-basic-user" as well; leave him out here, or reset "auth-basic-password"`},
		{"long", "ci: " + strings.Repeat("hunter2", 11), `option "auth-users": user "ci" on line 1: the password must not be longer than 72 bytes`},
		{"line break", `ci: "hunter2\n"`, `option "auth-users": user "ci" on line 1: the password must not contain control characters, such as a line break at its end`},
		{"apache", "ci: $apr1$hunter2", `option "auth-users": user "ci" on line 1: the password looks like a hash that is not bcrypt` + advice},
		{"SHA", "ci: '{SHA}hunter2'", `option "auth-users": user "ci" on line 1: the password looks like a hash that is not bcrypt` + advice},
		{"half a hash", "ci: " + hashed("10")[:40], `option "auth-users": user "ci" on line 1: the bcrypt hash is incomplete` + advice},
		{"costly", "ci: " + hashed("13"), `option "auth-users": user "ci" on line 1: the bcrypt hash has cost 13, which makes each sign-in take seconds; make one of cost 12 at most, with htpasswd -nbB -C 10`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse(with(t, Options{"auth-users": test.in, "auth-basic-password": "s3cret"}))
			if got := fmt.Sprint(err); got != test.want || strings.Contains(got, "hunter2") {
				t.Errorf("error is\n  %s\nwant\n  %s", got, test.want)
			}
		})
	}
}

func TestParseRefusesRules(t *testing.T) {
	const other = `must be empty when the auth-token-* options are set: the registry takes one kind of authentication`
	token := Options{
		"auth-token-realm": "https://a", "auth-token-issuer": "i", "auth-token-service": "s",
		"auth-token-root-certs": base64Of(newPair(t, "mine").cert), "auth-users": "ci: builds", "auth-policy": "ci * pull",
	}
	checkRefusals(t, []refusal{
		{"with a token service", token, `option "auth-policy": ` + other + `; option "auth-users": ` + other},
		{"rules", Options{"auth-policy": "ci * pull, push\nci A pull"},
			`option "auth-policy": line 1: is not three words; write who, which repositories and what, as in: ci team-a/** pull,push; ` +
				`option "auth-policy": line 2: "A" matches no repository; write it in lower case, as all names of repositories are`},
		{"basic user with a meaning", Options{"auth-policy": "* * pull", "auth-basic-user": "anonymous", "auth-basic-password": "hunter2"},
			`option "auth-basic-user": the name has a meaning of its own with "auth-users" and "auth-policy"; choose another one`},
		{"TLS of old", Options{"tls-min-version": "1.1"}, `option "tls-min-version": must be 1.2 or 1.3`},
	})
}

// TestHashesVerify holds that what is taken for a whole hash is one that bcrypt makes.
func TestHashesVerify(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("hunter2"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if fault := passwordFault(string(hash)); fault != "" || !isBcrypt(string(hash)) {
		t.Errorf("%s is refused: %s", hash, fault)
	}
}
