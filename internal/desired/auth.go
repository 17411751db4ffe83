package desired

import (
	"fmt"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/policy"
)

// authNotes are what an operator has hardly meant: rules and users that have no effect,
// and container runtimes that cannot pull.
func authNotes(in Input) []string {
	auth := in.Config.Auth
	var notes []string
	if auth.Policy != nil {
		notes = policyNotes(auth.Policy.Rules, auth.All())
	}
	anonymous := auth.Policy != nil && auth.Policy.Rules.Anonymous()
	if len(in.Relations.Clients) > 0 && auth.Own() && auth.Basic == nil && !anonymous {
		notes = append(notes, `Related container runtimes have no password: set auth-basic-password, or allow anonymous to pull in auth-policy.`)
	}
	return notes
}

func policyNotes(rules policy.Policy, users []config.User) []string {
	var names, idle, notes []string
	for _, user := range users {
		names = append(names, user.Name)
		if !useful(rules, user.Name) {
			idle = append(idle, user.Name)
		}
	}
	if unknown := rules.Unknown(names); len(unknown) > 0 {
		notes = append(notes, fmt.Sprintf("auth-policy has rules for users without a password: %s.", strings.Join(unknown, ", ")))
	}
	if len(idle) > 0 {
		notes = append(notes, fmt.Sprintf("auth-policy has no rule for users who have a password: %s.", strings.Join(idle, ", ")))
	}
	for _, note := range rules.Notes() {
		notes = append(notes, fmt.Sprintf("auth-policy %s.", note))
	}
	return notes
}

// useful says that a user may do anything at all.
func useful(rules policy.Policy, user string) bool {
	for _, action := range []policy.Action{policy.Pull, policy.Push, policy.Delete, policy.List} {
		if rules.AllowsSome(user, action) {
			return true
		}
	}
	return false
}
