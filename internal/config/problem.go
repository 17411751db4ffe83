package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in one option. Text says what to type instead, and never
// holds a secret's value.
type Problem struct {
	Option string
	Text   string
}

// Problems are all mistakes of a set of options, in the order of the options'
// names. They are the operator's to mend: a unit that has some is blocked.
type Problems []Problem

// Error names every option: `option "registry-port": must be 1 to 65535; option ...`.
func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, problem := range p {
		texts[i] = fmt.Sprintf("option %q: %s", problem.Option, problem.Text)
	}
	return strings.Join(texts, "; ")
}

// Sort brings the problems into the order of their options' names; those of one
// option stay in the order in which they were found.
func (p Problems) Sort() {
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Option, b.Option) })
}
