package actions

import "fmt"

// params are an action's parameters as Juju gives them.
type params map[string]any

// text is a string parameter, "" if it is not given.
func (p params) text(name string) (string, error) {
	value, given := p[name]
	if !given || value == nil {
		return "", nil
	}
	text, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("parameter %q: must be a string, such as %s=value", name, name)
	}
	return text, nil
}

// claim is a boolean parameter.
func (p params) claim(name string, otherwise bool) (bool, error) {
	value, given := p[name]
	if !given || value == nil {
		return otherwise, nil
	}
	claim, ok := value.(bool)
	if !ok {
		return false, fmt.Errorf("parameter %q: must be true or false, such as %s=%v", name, name, !otherwise)
	}
	return claim, nil
}
