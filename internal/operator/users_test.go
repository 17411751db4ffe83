package operator

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"docker-registry-operator/internal/desired"
)

func (w world) file(name string) string { return string(w.machine.files["/etc/docker/registry/"+name]) }

// TestConvergeKeepsUsers is about who signs in: the users of both kinds of options, and
// the charm, whose password neither changes nor outlives them.
func TestConvergeKeepsUsers(t *testing.T) {
	w := fresh(t)
	w.unit.options["auth-basic-password"], w.unit.options["auth-users"] = "s3cret", "bob: hunter2\nci: builds"
	w.unit.options["auth-policy"] = "ci team-a/** push\nguest * pull\n"
	got := w.converge(t)
	want := desired.Status{Level: desired.Active, Message: "Ready at 10.0.0.5:5000 (http)." +
		" auth-policy has rules for users without a password: guest." +
		" auth-policy has no rule for users who have a password: admin, bob."}
	if got != want {
		t.Errorf("status\n %v\nwant\n %v", got, want)
	}
	access, err := w.Access(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := hashes(w.file("htpasswd"))
	for user, password := range map[string]string{"admin": "s3cret", "bob": "hunter2", "ci": "builds", access.User: access.Password.Reveal()} {
		if err := bcrypt.CompareHashAndPassword([]byte(first[user]), []byte(password)); err != nil || password == "" {
			t.Errorf("user %q: %v", user, err)
		}
	}
	if len(first) != 4 || access.User != "juju-actions" {
		t.Errorf("users %v, actions are %q", first, access.User)
	}
	if rules := w.file("policy"); rules != "ci team-a/** push\nguest * pull\n# For actions of the charm.\njuju-actions ** push\n" {
		t.Errorf("rules\n%s", rules)
	}

	w.unit.options["auth-users"] = "bob: changed\nci: builds"
	w.converge(t)
	for user, hash := range hashes(w.file("htpasswd")) {
		if changed := hash != first[user]; changed != (user == "bob") {
			t.Errorf("user %q changed: %t", user, changed)
		}
	}
	delete(w.unit.options, "auth-users")
	delete(w.unit.options, "auth-policy")
	w.converge(t)
	if users := hashes(w.file("htpasswd")); len(users) != 1 || users["admin"] != first["admin"] || w.machine.records[actionsRecord] != "" {
		t.Errorf("users %v, record %q", users, w.machine.records[actionsRecord])
	}
}

// hashes are those of a password file, by user.
func hashes(file string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(file) {
		user, hash, _ := strings.Cut(strings.TrimSpace(line), ":")
		found[user] = hash
	}
	return found
}
