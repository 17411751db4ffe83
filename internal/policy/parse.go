package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Mistakes are all that keep a text from being a policy. Each names its line and what to write.
type Mistakes []string

// Error is all mistakes on one line.
func (m Mistakes) Error() string { return strings.Join(m, "; ") }

// Parse reads a policy of one rule a line:
//
//	who  repositories  actions
//
// Who is the name of a user, * for every user who signed in, or anonymous for everybody. The
// repositories are a name or a glob, in which * stands for any text without a slash and ** for any
// text; * alone is every repository. Actions are separated by commas. Text from a word that
// begins with # to the end of its line is a comment. An error is of type Mistakes.
func Parse(text string) (Policy, error) {
	var policy Policy
	var mistakes Mistakes
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		if comment := slices.IndexFunc(words, func(word string) bool { return word[0] == '#' }); comment >= 0 {
			words = words[:comment]
		}
		if len(words) == 0 {
			continue
		}
		parsed, problems := parseRule(words)
		for _, problem := range problems {
			mistakes = append(mistakes, fmt.Sprintf("line %d: %s", number, problem))
		}
		parsed.line = number
		policy.rules = append(policy.rules, parsed)
	}
	if mistakes != nil {
		return Policy{}, mistakes
	}
	return policy, nil
}

func parseRule(words []string) (parsed rule, problems []string) {
	if len(words) != 3 {
		return rule{}, []string{"is not three words; write who, which repositories and what, as in: ci team-a/** pull,push"}
	}
	parsed.who = words[0]
	if strings.Contains(parsed.who, ":") {
		problems = append(problems, fmt.Sprintf("%q is not a user; write a name without a colon", parsed.who))
	}
	var err error
	if parsed.glob, err = parseGlob(words[1]); err != nil {
		problems = append(problems, fmt.Sprintf("%q matches no repository; %v", words[1], err))
	}
	for name := range strings.SplitSeq(words[2], ",") {
		switch action := Action(name); action {
		case Push:
			parsed.actions = append(parsed.actions, Pull, Push)
		case Pull, Delete, List:
			parsed.actions = append(parsed.actions, action)
		default:
			problems = append(problems, fmt.Sprintf("%q is not an action; write pull, push, delete or list, with commas and no blanks between them", name))
		}
	}
	slices.Sort(parsed.actions)
	parsed.actions = slices.Compact(parsed.actions)
	return parsed, problems
}

// Notes tell of rules that add nothing to another, which is no mistake but seldom meant.
func (p Policy) Notes() []string {
	var notes []string
	for i, r := range p.rules {
		for j, other := range p.rules {
			// Of two rules that are the same, the first is the one to keep.
			if i == j || !other.includes(r) || i < j && r.includes(other) {
				continue
			}
			notes = append(notes, fmt.Sprintf("line %d allows nothing that line %d does not allow", r.line, other.line))
			break
		}
	}
	return notes
}
