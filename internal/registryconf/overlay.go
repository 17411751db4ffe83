package registryconf

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v2"

	"docker-registry-operator/internal/config"
)

// overlay merges option registry-config over a rendered configuration: mappings key
// by key, everything else as a whole. A storage backend of its own replaces the
// rendered filesystem.
func overlay(in Input, rendered []byte) ([]byte, config.Problems, error) {
	c := newChecker(in)
	c.mapping("", in.Config.Overlay)
	c.backend()
	var base yaml.MapSlice
	if err := yaml.Unmarshal(rendered, &base); err != nil {
		return nil, nil, fmt.Errorf("cannot read the rendered config.yml: %w", err)
	}
	merged := c.merge("", base, in.Config.Overlay)
	if len(c.problems) > 0 {
		return nil, c.problems, nil
	}
	text, err := yaml.Marshal(merged)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot render config.yml with its overlay: %w", err)
	}
	c.strict(text)
	return text, c.problems, nil
}

// checker gathers what an overlay must not say, by the path of its keys:
// `http.addr`.
type checker struct {
	in       Input
	image    image
	managed  map[string]string
	problems config.Problems
}

func newChecker(in Input) *checker {
	return &checker{in: in, image: imageOf(in.Stock), managed: managed(in)}
}

func (c *checker) complain(path, text string) {
	c.problems = append(c.problems, overlayProblem(fmt.Sprintf("key %q %s", path, text)))
}

func overlayProblem(text string) config.Problem {
	return config.Problem{Option: "registry-config", Text: text}
}

// mapping walks the overlay in the order of its keys, as deep as nothing is wrong.
func (c *checker) mapping(path string, values map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		at := join(path, key)
		if fault := c.fault(at, values[key]); fault != "" {
			c.complain(at, fault)
			continue
		}
		if below, ok := values[key].(map[string]any); ok {
			c.mapping(at, below)
		}
	}
}

func (c *checker) fault(path string, value any) string {
	section, key, below := strings.Cut(path, ".")
	_, isMapping := value.(map[string]any)
	switch {
	case value == nil:
		return "must have a value"
	case !below && !slices.Contains(c.image.sections, section):
		return "is not known to " + c.image.name
	case path == "storage.cache.blobdescriptor" && value == "redis":
		return c.redis()
	case c.managed[path] != "":
		return c.managed[path]
	case c.image.foreign[path] != "":
		return c.image.foreign[path]
	case section == "storage" && below && !strings.Contains(key, ".") && !isMapping:
		return "must be a mapping"
	case section == "auth" && below && key != "token" && !strings.HasPrefix(key, "token."):
		return `must be left out: the options "auth-token-*" are set`
	}
	return ""
}

// redis says what keeps the registry from caching in Redis: it does not start when
// it has no address of one.
func (c *checker) redis() string {
	address := "addrs"
	if c.in.Stock == 2 {
		address = "addr"
	}
	section, _ := c.in.Config.Overlay["redis"].(map[string]any)
	if section[address] == nil {
		return fmt.Sprintf(`must come with "redis.%s"`, address)
	}
	return ""
}

// merge puts over on top of base, new keys behind the present ones in their order.
func (c *checker) merge(path string, base yaml.MapSlice, over map[string]any) yaml.MapSlice {
	for _, key := range slices.Sorted(maps.Keys(over)) {
		if c.fault(join(path, key), over[key]) != "" {
			continue
		}
		at := slices.IndexFunc(base, func(item yaml.MapItem) bool { return item.Key == key })
		if at < 0 {
			base = append(base, yaml.MapItem{Key: key, Value: over[key]})
			continue
		}
		below, isMapping := base[at].Value.(yaml.MapSlice)
		if !isMapping {
			base[at].Value = over[key]
			continue
		}
		values, ok := over[key].(map[string]any)
		if !ok {
			c.complain(join(path, key), "must be a mapping")
			continue
		}
		base[at].Value = c.merge(join(path, key), below, values)
	}
	if path == "storage" && c.ownBackend() != "" {
		base = slices.DeleteFunc(base, func(item yaml.MapItem) bool { return item.Key == "filesystem" })
	}
	return base
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
