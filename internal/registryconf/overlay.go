package registryconf

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"docker-registry-operator/internal/config"
)

// overlay merges option registry-config over a rendered configuration: mappings key
// by key, everything else as a whole. A storage backend of its own replaces the
// rendered filesystem.
func overlay(in Input, rendered []byte) ([]byte, config.Problems, error) {
	var document map[string]any
	if err := yaml.Unmarshal(rendered, &document); err != nil {
		return nil, nil, fmt.Errorf("cannot read the rendered config.yml: %w", err)
	}
	c := newChecker(in)
	c.mapping("", in.Config.Overlay)
	c.backend()
	c.merge("", document, in.Config.Overlay)
	if len(c.problems) > 0 {
		return nil, c.problems, nil
	}
	text, err := marshal(document)
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
	case path == "storage.cache.blobdescriptor" && value == "redis" && c.in.Config.Storage.Redis == nil:
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

// merge puts over on top of base.
func (c *checker) merge(path string, base, over map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(over)) {
		at := join(path, key)
		if c.fault(at, over[key]) != "" {
			continue
		}
		below, present := base[key].(map[string]any)
		values, isMapping := over[key].(map[string]any)
		switch {
		case !present:
			base[key] = over[key]
		case !isMapping:
			c.complain(at, "must be a mapping")
		default:
			c.merge(at, below, values)
		}
	}
	if path == "storage" && c.ownBackend() != "" {
		delete(base, "filesystem")
		dropMemoryCache(base)
	}
}

// dropMemoryCache leaves a storage that others may change without a cache in memory.
func dropMemoryCache(storage map[string]any) {
	cache, _ := storage["cache"].(map[string]any)
	if cache["blobdescriptor"] == memoryCache {
		delete(storage, "cache")
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
