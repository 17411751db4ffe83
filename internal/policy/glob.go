package policy

import (
	"errors"
	"regexp"
	"strings"
)

const (
	// everything is the glob of every repository, although * is one step of a name elsewhere.
	everything = "*"
	// anything stands for any text, with slashes or without, or none.
	anything = "**"
)

// A glob stands for repository names.
type glob struct {
	text string
	// prefix is what every name begins with. It is all there is to a glob with neither open nor
	// pattern.
	prefix string
	// open says that whatever follows prefix matches.
	open    bool
	pattern *regexp.Regexp
}

// notInNames is what neither stands in the name of a repository nor is a wildcard.
var notInNames = regexp.MustCompile(`[^a-z0-9._/*-]`)

func parseGlob(text string) (glob, error) {
	switch {
	case notInNames.MatchString(strings.ToLower(text)):
		return glob{}, errors.New("write a repository's name, with * for a part of a name and ** for any number of them")
	case notInNames.MatchString(text):
		return glob{}, errors.New("write it in lower case, as all names of repositories are")
	case strings.Contains(text, "***"):
		return glob{}, errors.New("write * for a part of a name or ** for any number of them")
	case strings.HasPrefix(text, "/") || strings.HasSuffix(text, "/") || strings.Contains(text, "//"):
		return glob{}, errors.New("write no / at the beginning or the end, and no two in a row")
	case text == everything || text == anything:
		return glob{text: text, open: true}, nil
	}
	prefix, rest, wild := strings.Cut(text, "*")
	g := glob{text: text, prefix: prefix, open: wild && rest == "*"}
	if wild && !g.open {
		g.pattern = compile(text)
	}
	return g, nil
}

// compile makes a pattern that is matched in linear time, whatever the glob.
func compile(text string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(text)
	quoted = strings.ReplaceAll(quoted, `\*\*`, `.*`)
	quoted = strings.ReplaceAll(quoted, `\*`, `[^/]*`)
	return regexp.MustCompile(`^(?s:` + quoted + `)$`)
}

func (g glob) matches(repository string) bool {
	rest, found := strings.CutPrefix(repository, g.prefix)
	switch {
	case !found:
		return false
	case g.pattern != nil:
		return g.pattern.MatchString(repository)
	}
	return g.open || rest == ""
}

// includes reports whether g matches all that other matches. It may miss that where g has
// wildcards before its end.
func (g glob) includes(other glob) bool {
	return g.text == other.text || g.open && strings.HasPrefix(other.prefix, g.prefix)
}
