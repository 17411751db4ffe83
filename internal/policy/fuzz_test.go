package policy_test

import (
	"errors"
	"strings"
	"testing"

	"docker-registry-operator/internal/policy"
)

// FuzzParse reads policies that nobody would write, and holds what must be true of every policy.
func FuzzParse(f *testing.F) {
	f.Add(example, "ci", "team-a/app")
	f.Add("a a*b**c/d* pull\n\n#\nanonymous ** delete", "a", "aXbYc/d")
	f.Add("ci\n*:* /// ,", "", "")
	f.Fuzz(func(t *testing.T, text, user, repository string) {
		parsed, err := policy.Parse(text)
		if err != nil {
			if mistakes := (policy.Mistakes)(nil); !errors.As(err, &mistakes) || len(mistakes) == 0 {
				t.Errorf("error %v of type %T", err, err)
			}
			return
		}
		parsed.Notes()
		for _, action := range []policy.Action{policy.Pull, policy.Push, policy.Delete, policy.List} {
			allowed := parsed.Allows(user, repository, action)
			if !allowed && parsed.Allows("", repository, action) {
				t.Errorf("%q may not %s, who has not signed in may", user, action)
			}
			if allowed && !parsed.AllowsSome(user, action) {
				t.Errorf("%q may %s %q, and no repository", user, action, repository)
			}
		}
		if parsed.Allows(user, repository, policy.Push) && !parsed.Allows(user, repository, policy.Pull) {
			t.Errorf("%q may push to %q and not pull", user, repository)
		}
	})
}

// FuzzGlob compares with the definition, tried out letter by letter.
func FuzzGlob(f *testing.F) {
	f.Add("team-*/app**", "team-a/app/deep")
	f.Add("*/*", "a/b/c")
	f.Add("a**", "a")
	f.Fuzz(func(t *testing.T, glob, repository string) {
		if len(glob) > 20 || len(repository) > 40 || strings.TrimSpace(glob) != glob {
			return
		}
		parsed, err := policy.Parse("ci " + glob + " pull")
		if err != nil || len(parsed.Unknown(nil)) == 0 {
			return
		}
		if got := parsed.Allows("ci", repository, policy.Pull); got != (glob == "*" || slowMatch(glob, repository)) {
			t.Errorf("glob %q matches %q: %v", glob, repository, got)
		}
	})
}

func slowMatch(glob, name string) bool {
	switch {
	case glob == "":
		return name == ""
	case len(glob) > 1 && glob[:2] == "**":
		return slowMatch(glob[2:], name) || name != "" && slowMatch(glob, name[1:])
	case glob[0] == '*':
		return slowMatch(glob[1:], name) || name != "" && name[0] != '/' && slowMatch(glob, name[1:])
	}
	return name != "" && name[0] == glob[0] && slowMatch(glob[1:], name[1:])
}
