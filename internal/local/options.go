package local

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"

	"github.com/juju/charm/v12"
	"go.yaml.in/yaml/v2"

	"docker-registry-operator/internal/config"
)

// readOptions reads a file of `option: value` lines, or one that is made for
// `juju deploy --config`, where those stand under the application's name.
func readOptions(name string) (map[string]any, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read options: %w", err)
	}
	options, err := decodeOptions(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read options %s: %w", name, err)
	}
	return options, nil
}

func decodeOptions(data []byte) (map[string]any, error) {
	// The version of YAML that a controller reads, in which `yes` is true.
	var options map[string]any
	if err := yaml.UnmarshalStrict(data, &options); err != nil {
		return nil, notYAML(err)
	}
	deployed, isMap := options[application].(map[any]any)
	if !isMap || len(options) > 1 {
		return options, nil
	}
	options = map[string]any{}
	for name, value := range deployed {
		options[fmt.Sprint(name)] = value
	}
	return options, nil
}

// notYAML says where a file is not YAML, and nothing of what stands there, which
// may be a secret.
func notYAML(err error) error {
	if line := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error()); line != nil {
		return fmt.Errorf("not YAML of the form `name: value` at line %s", line[1])
	}
	return errors.New("not YAML of the form `name: value`")
}

// typed checks options against what is declared and fills in the defaults.
func typed(declared *charm.Config, given map[string]any) (config.Options, error) {
	options := config.Options{}
	for name, value := range declared.DefaultSettings() {
		if value != nil {
			options[name] = value
		}
	}
	var problems config.Problems
	for _, name := range slices.Sorted(maps.Keys(given)) {
		option, known := declared.Options[name]
		if !known {
			problems = append(problems, config.Problem{Option: name, Text: "there is no such option; see config.yaml"})
			continue
		}
		value, err := convert(declared, name, given[name])
		if err != nil {
			problems = append(problems, config.Problem{Option: name, Text: "must be of type " + option.Type})
			continue
		}
		if value != nil {
			options[name] = value
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return options, nil
}

// convert is what a controller makes of a value: text is parsed, anything else must
// have the option's type. The error may hold the value.
func convert(declared *charm.Config, name string, value any) (any, error) {
	if text, isText := value.(string); isText {
		settings, err := declared.ParseSettingsStrings(map[string]string{name: text})
		return settings[name], err
	}
	settings, err := declared.ValidateSettings(charm.Settings{name: value})
	return settings[name], err
}
