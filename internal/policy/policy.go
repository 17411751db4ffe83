// Package policy decides who may do what with which repository. The charm reads a policy to tell
// the operator of mistakes, and the registry reads it to decide; both must understand the same. It
// knows nothing of passwords: whether a user is who he says is decided before it is asked.
package policy

import "slices"

// An Action is what a rule allows.
type Action string

// The actions there are. Push includes pull, because a client looks at what is there before it
// pushes, and asks for both. List shows a repository in the catalog to who may also pull it.
const (
	Pull   Action = "pull"
	Push   Action = "push"
	Delete Action = "delete"
	List   Action = "list"
)

const (
	// anonymous in a rule is everybody, signed in or not: who signed in must not lose what he
	// could do without.
	anonymous = "anonymous"
	// anyUser in a rule is everybody who signed in.
	anyUser = "*"
)

// A Policy is a list of rules, of which any may allow. What no rule allows is denied, so the zero
// Policy allows nothing.
type Policy struct{ rules []rule }

type rule struct {
	line    int
	who     string
	glob    glob
	actions []Action // with those that others include
}

// Allows reports whether user may take action on repository. The user "" is one who has not signed
// in.
func (p Policy) Allows(user, repository string, action Action) bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool {
		return r.concerns(user) && slices.Contains(r.actions, action) && r.glob.matches(repository)
	})
}

// AllowsSome reports whether there may be a repository on which user may take action.
func (p Policy) AllowsSome(user string, action Action) bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool {
		return r.concerns(user) && slices.Contains(r.actions, action)
	})
}

// AllowsAll reports whether user may take action on every repository by one rule.
func (p Policy) AllowsAll(user string, action Action) bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool {
		return r.concerns(user) && slices.Contains(r.actions, action) && r.glob.open && r.glob.prefix == ""
	})
}

// Anonymous reports whether the policy allows anything to who has not signed in.
func (p Policy) Anonymous() bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool { return r.who == anonymous })
}

// Unknown are the users that rules name and that are not among users, in the order of the rules:
// they have no password, so their rules allow nothing.
func (p Policy) Unknown(users []string) []string {
	var unknown []string
	for _, r := range p.rules {
		if r.who != anonymous && r.who != anyUser && !slices.Contains(users, r.who) && !slices.Contains(unknown, r.who) {
			unknown = append(unknown, r.who)
		}
	}
	return unknown
}

func (r rule) concerns(user string) bool {
	return r.who == anonymous || user != "" && (r.who == anyUser || r.who == user)
}

// includes reports whether r allows all that other allows. It may miss that where globs have
// wildcards in the middle.
func (r rule) includes(other rule) bool {
	for _, action := range other.actions {
		if !slices.Contains(r.actions, action) {
			return false
		}
	}
	who := r.who == anonymous || r.who == other.who || r.who == anyUser && other.who != anonymous
	return who && r.glob.includes(other.glob)
}
