package config

import (
	"regexp"

	"gopkg.in/yaml.v3"
)

// overlay is option registry-config.
func (r *reader) overlay() map[string]any {
	const name = "registry-config"
	value, err := decode(r.raw(name))
	if err != nil {
		r.complain(name, "is not valid YAML%s", lineOf(err))
		return nil
	}
	if value == nil {
		return nil
	}
	if !textKeys(value) {
		r.complain(name, "must have texts as keys; put quotes around the others")
		return nil
	}
	mapping, ok := value.(map[string]any)
	if !ok {
		r.complain(name, `must be a YAML mapping such as "notifications: {...}"`)
		return nil
	}
	return mapping
}

// decode is the value of a YAML text by the rules of the registry.
func decode(text string) (any, error) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil {
		return nil, err
	}
	registryRules(&node)
	var value any
	if err := node.Decode(&value); err != nil {
		return nil, err
	}
	return value, nil
}

// registryRules gives the words without quotes below node the types that they have
// for the registry, which reads YAML 1.1 and takes a date for text: an overlay means
// what the same lines in a configuration of the registry would mean.
// https://yaml.org/type/bool.html
func registryRules(node *yaml.Node) {
	unquoted := node.Kind == yaml.ScalarNode && node.Style == 0
	switch {
	case unquoted && node.Tag == "!!timestamp":
		node.Tag = "!!str"
	case unquoted && node.Tag == "!!str":
		switch node.Value {
		case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON":
			node.Tag, node.Value = "!!bool", "true"
		case "n", "N", "no", "No", "NO", "off", "Off", "OFF":
			node.Tag, node.Value = "!!bool", "false"
		}
	}
	for _, below := range node.Content {
		registryRules(below)
	}
}

// textKeys says that every mapping in a value of YAML has texts as keys only, and so
// is a map[string]any.
func textKeys(value any) bool {
	switch value := value.(type) {
	case map[any]any:
		return false
	case map[string]any:
		for _, item := range value {
			if !textKeys(item) {
				return false
			}
		}
	case []any:
		for _, item := range value {
			if !textKeys(item) {
				return false
			}
		}
	}
	return true
}

// lineOf is ", line N" for an error of the YAML parser that names one. The rest of
// its text may repeat what was parsed, and that may be secret.
func lineOf(err error) string {
	line := regexp.MustCompile(`line [0-9]+`).FindString(err.Error())
	if line == "" {
		return ""
	}
	return ", " + line
}
