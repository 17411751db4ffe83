package load_test

import (
	"maps"
	"net/http"
	"os"
	"testing"

	"docker-registry-operator/tests/load"
)

// changing is how many of the clients are of the user whose password changes.
const changing = 10

// TestUsers changes the secret of auth-users while clients push and pull, half of them with tokens. Of the
// users that stay no request may fail; who is removed and an old password are refused once the hook has ended.
func TestUsers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	s := newSite(t, nil)
	users := map[string]string{"staying": "a-password", "changing": oldPassword, "leaving": "their-password"}
	secret := s.model.AddSecret(maps.Clone(users))
	secret.Grant(s.app)
	options := s.certificate(t)
	options["auth-users"] = "secret:" + secret.ID()
	options["auth-policy"] = "anonymous public/** pull\n* ** push"
	s.config(options)(t)
	s.crowd = s.clients(t, load.Options{
		Clients: crowd - changing, User: "staying", Passwords: []string{users["staying"]}, Tokens: true,
	})
	rotating := s.clients(t, load.Options{
		Clients: changing, User: "changing", Passwords: []string{oldPassword, newPassword}, Tokens: true,
	})
	// rotate makes another revision, and waits until it is in use.
	rotate := func(t *testing.T, change func()) {
		hooks := len(s.unit.Hooks())
		change()
		secret.Set(maps.Clone(users))
		s.awaitHook(t, hooks)
	}
	expect := func(t *testing.T, user, password string, status int) {
		t.Helper()
		if got := s.ask(t, http.MethodGet, "/v2/", user, password); got != status {
			t.Errorf("%s with %s: %d, want %d", user, password, got, status)
		}
	}
	expect(t, "coming", "new-here", http.StatusUnauthorized)
	expect(t, "leaving", users["leaving"], http.StatusOK)

	s.during(t, "added", func(t *testing.T) {
		rotate(t, func() { users["coming"] = "new-here" })
		expect(t, "coming", "new-here", http.StatusOK)
	})
	s.during(t, "changed", func(t *testing.T) {
		rotate(t, func() { users["changing"] = newPassword })
		expect(t, "changing", newPassword, http.StatusOK)
		expect(t, "changing", oldPassword, http.StatusUnauthorized)
		rotating.SetPasswords(newPassword)
		check(t, rotating.Await(s.ctx, changing))
	})
	s.during(t, "removed", func(t *testing.T) {
		rotate(t, func() { delete(users, "leaving") })
		expect(t, "leaving", "their-password", http.StatusUnauthorized)
		check(t, rotating.Await(s.ctx, changing))
	})
	told := rotating.Count()
	t.Logf("the user whose password changed: %d requests, %d with a password that was refused", told.Requests, told.Refused)
	for _, err := range told.Failures[:min(len(told.Failures), 5)] {
		t.Errorf("%.300v", err)
	}
}
