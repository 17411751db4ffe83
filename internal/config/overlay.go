package config

import (
	"regexp"

	"go.yaml.in/yaml/v2"
)

// overlay is option registry-config. It is read by the same library, and so by the
// same rules, as the registry reads its configuration.
func (r *reader) overlay() map[string]any {
	const name = "registry-config"
	var value any
	if err := yaml.UnmarshalStrict([]byte(r.raw(name)), &value); err != nil {
		r.complain(name, "is not valid YAML%s", lineOf(err))
		return nil
	}
	if value == nil {
		return nil
	}
	plain, ok := stringKeys(value)
	if !ok {
		r.complain(name, "must have texts as keys; put quotes around the others")
		return nil
	}
	mapping, ok := plain.(map[string]any)
	if !ok {
		r.complain(name, `must be a YAML mapping such as "notifications: {...}"`)
		return nil
	}
	return mapping
}

// stringKeys is a value of YAML with every mapping as a map[string]any; ok is false
// if a key is not text.
func stringKeys(value any) (plain any, ok bool) {
	switch value := value.(type) {
	case map[any]any:
		mapping := make(map[string]any, len(value))
		for key, item := range value {
			name, isText := key.(string)
			if mapping[name], ok = stringKeys(item); !ok || !isText {
				return nil, false
			}
		}
		return mapping, true
	case []any:
		list := make([]any, len(value))
		for i, item := range value {
			if list[i], ok = stringKeys(item); !ok {
				return nil, false
			}
		}
		return list, true
	}
	return value, true
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
