package registryconf

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"go.yaml.in/yaml/v2"
)

// strict complains of each key of a merged configuration that the registry would
// ignore, because it does not know it, or refuse, because its value is of the wrong
// kind. Version 2 has other keys, and is not asked.
func (c *checker) strict(text []byte) {
	if c.in.Stock == 2 {
		return
	}
	err := known(text)
	if err == nil {
		return
	}
	var mistakes *yaml.TypeError
	if !errors.As(err, &mistakes) {
		// The error may repeat a value, and that may be a secret.
		c.problems = append(c.problems, overlayProblem("has a value that "+c.image.name+" does not take"))
		return
	}
	for _, mistake := range mistakes.Errors {
		c.mistake(text, mistake)
	}
}

// known reads text as the registry does, but takes no unknown keys. The registry's own
// YAML library judges: others do so differently, and refuse a duration of 0 or take a
// quoted "on" for a truth value.
func known(text []byte) error {
	return yaml.UnmarshalStrict(text, new(configuration.Configuration))
}

// mistake says where a mistake is, `line 5: field x not found in type y` or `line 5:
// cannot unmarshal !!str ...`, but not what is there.
func (c *checker) mistake(text []byte, mistake string) {
	match := regexp.MustCompile(`^line ([0-9]+): (field .* not found in type )?`).FindStringSubmatch(mistake)
	if match == nil {
		c.problems = append(c.problems, overlayProblem("has a value of the wrong kind"))
		return
	}
	line, _ := strconv.Atoi(match[1])
	path := keyAt(string(text), line)
	if match[2] != "" {
		c.complain(path, "is not known to "+c.image.name)
		return
	}
	c.complain(path, "has a value of the wrong kind")
}

// keyAt is the path of the key on a line, counted from 1, of YAML as this package
// writes it.
func keyAt(text string, line int) string {
	type level struct {
		column int
		key    string
	}
	var levels []level
	lines := strings.Split(text, "\n")
	for _, each := range lines[:min(line, len(lines))] {
		bare := strings.TrimLeft(each, " -")
		key, _, isKey := strings.Cut(bare, ":")
		column := len(each) - len(bare)
		for len(levels) > 0 && levels[len(levels)-1].column >= column {
			levels = levels[:len(levels)-1]
		}
		if isKey {
			levels = append(levels, level{column, key})
		}
	}
	path := ""
	for _, each := range levels {
		path = join(path, each.key)
	}
	return path
}
