package desired

import (
	"strings"
	"testing"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/relation"
)

// TestStatusTellsOfIdleRulesAndUsers is about what has no effect, and hides nothing else.
func TestStatusTellsOfIdleRulesAndUsers(t *testing.T) {
	const pull = " Related container runtimes have no password: set auth-basic-password, or allow anonymous to pull in auth-policy."
	for _, test := range []struct {
		name    string
		options config.Options
		client  bool
		want    string
	}{
		{name: "users alone", options: config.Options{"auth-users": "ci: x"}},
		{name: "rules for all", options: config.Options{"auth-users": "ci: x", "auth-policy": "* * pull"}},
		{name: "everybody", options: config.Options{"auth-policy": "anonymous * pull"}},
		{name: "nobody", options: config.Options{"auth-users": "ci: x", "auth-policy": "# later"},
			want: " auth-policy has no rule for users who have a password: ci."},
		{name: "strangers and idle ones", options: config.Options{
			"auth-users": "ci: x\nbob: y", "auth-basic-password": "z", "auth-policy": "ci a pull\nann b pull\nann c pull\neve * pull",
		}, want: " auth-policy has rules for users without a password: ann, eve. auth-policy has no rule for users who have a password: admin, bob."},
		{name: "a needless rule", options: config.Options{"auth-users": "ci: x", "auth-policy": "ci * pull\nci a pull"},
			want: " auth-policy line 2 allows nothing that line 1 does not allow."},
		{name: "runtimes without a user", client: true, options: config.Options{"auth-users": "ci: x"}, want: pull},
		{name: "runtimes that need none", client: true, options: config.Options{"auth-policy": "anonymous * pull"}},
		{name: "runtimes with a user", client: true, options: config.Options{"auth-users": "ci: x", "auth-basic-password": "z"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := secured(t, 2040)
			options := declared(t)
			for name, value := range test.options {
				options[name] = value
			}
			parsed, err := config.Parse(options)
			if err != nil {
				t.Fatal(err)
			}
			in.Config.Auth = parsed.Auth
			if test.client {
				in.Relations.Clients = []relation.Relation{{ID: "docker-registry:3"}}
			}
			got := decide(t, in).Status.Message
			if want := "Ready at 10.0.0.5:5000 (https)." + test.want; got != want {
				t.Errorf("status is\n  %s\nwant\n  %s", got, want)
			}
		})
	}
}

// TestClientsAreToldOfTheBasicUser holds that no other password is in a databag.
func TestClientsAreToldOfTheBasicUser(t *testing.T) {
	in := secured(t, 2040)
	in.Config.Auth.Users = []config.User{{Name: "ci", Password: config.NewSecret("builds")}}
	in.Relations.Clients = []relation.Relation{{ID: "docker-registry:3"}}
	bag := told(t, decide(t, in), "docker-registry:3")
	if bag["basic_user"] != "null" || bag["basic_password"] != "null" {
		t.Errorf("told %v", bag)
	}
	in.Config.Auth.Basic = &config.Basic{User: "admin", Password: config.NewSecret("s3cret")}
	bag = told(t, decide(t, in), "docker-registry:3")
	if bag["basic_user"] != `"admin"` || bag["basic_password"] != `"s3cret"` {
		t.Errorf("told %v", bag)
	}
	for key, value := range bag {
		if strings.Contains(value, "builds") {
			t.Errorf("%s shows a password", key)
		}
	}
}
