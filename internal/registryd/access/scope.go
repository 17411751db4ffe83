package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/registry/auth"
)

const (
	repositoryType = "repository"
	// anyAction stands for all actions there are.
	anyAction = "*"

	// maxScopes bounds what a token is asked for. A client asks for one repository, and for one more
	// for each that it would mount blobs from.
	maxScopes = 100
)

// actions are those that clients ask for; nobody is granted another.
var actions = []string{"pull", "push", "delete", anyAction}

// catalog is how the catalog is asked for.
var catalog = auth.Access{Resource: auth.Resource{Type: "registry", Name: "catalog"}, Action: anyAction}

// parseScopes reads scopes as clients send them: several in one text with blanks between them, several
// texts, or both. A repository's name may have colons of its own.
func parseScopes(texts []string) ([]auth.Access, error) {
	var wanted []auth.Access
	number := 0
	for _, text := range texts {
		for scope := range strings.FieldsSeq(text) {
			if number++; number > maxScopes {
				return nil, fmt.Errorf("more than %d scopes", maxScopes)
			}
			parsed, err := parseScope(scope)
			if err != nil {
				return nil, err
			}
			wanted = append(wanted, parsed...)
		}
	}
	return wanted, nil
}

func parseScope(scope string) ([]auth.Access, error) {
	kind, rest, _ := strings.Cut(scope, ":")
	colon := strings.LastIndex(rest, ":")
	// A class, as in repository(plugin), makes no difference here.
	kind, _, _ = strings.Cut(kind, "(")
	if kind == "" || colon <= 0 {
		return nil, fmt.Errorf("%q is not a scope; ask for repository:NAME:pull", shortened(scope))
	}
	resource := auth.Resource{Type: kind, Name: rest[:colon]}
	var wanted []auth.Access
	for action := range strings.SplitSeq(rest[colon+1:], ",") {
		access := auth.Access{Resource: resource, Action: action}
		if slices.Contains(actions, action) && !slices.Contains(wanted, access) {
			wanted = append(wanted, access)
		}
	}
	return wanted, nil
}

// formatScopes writes wanted as parseScopes reads it, each resource once, in the order of wanted.
func formatScopes(wanted []auth.Access) string {
	var scopes []string
	for _, granted := range group(wanted) {
		scopes = append(scopes, granted.Type+":"+granted.Name+":"+strings.Join(granted.Actions, ","))
	}
	return strings.Join(scopes, " ")
}

// permission is what a token allows of one resource, in the words of distribution's tokens.
type permission struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// group gathers the actions of each resource.
func group(wanted []auth.Access) []permission {
	var grouped []permission
	for _, access := range wanted {
		i := slices.IndexFunc(grouped, func(p permission) bool { return p.Type == access.Type && p.Name == access.Name })
		if i < 0 {
			i = len(grouped)
			grouped = append(grouped, permission{Type: access.Type, Name: access.Name})
		}
		if !slices.Contains(grouped[i].Actions, access.Action) {
			grouped[i].Actions = append(grouped[i].Actions, access.Action)
		}
	}
	return grouped
}

// shortened is foreign text as it may stand in a log.
func shortened(text string) string {
	const enough = 64
	if len(text) <= enough {
		return text
	}
	return text[:enough] + "…"
}
