package registryconf

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"docker-registry-operator/internal/config"
)

// rendered is the name of the storage driver that the options ask for.
func rendered(backend config.Backend) string {
	switch backend.(type) {
	case config.S3:
		return "s3"
	case config.Swift:
		return "swift"
	}
	return "filesystem"
}

// drivers are the storage drivers that the overlay names.
func (c *checker) drivers() []string {
	section, _ := c.in.Config.Overlay["storage"].(map[string]any)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(section)), func(key string) bool {
		switch key {
		case "maintenance", "cache", "delete", "redirect", "tag":
			return true
		}
		return false
	})
}

// ownBackend is the storage driver that the overlay brings along, "" if it has none.
func (c *checker) ownBackend() string {
	for _, driver := range c.drivers() {
		if driver != rendered(c.in.Config.Storage.Backend) {
			return driver
		}
	}
	return ""
}

// BringsBackend says that option registry-config has a storage backend of its own.
func BringsBackend(conf config.Config) bool {
	c := &checker{in: Input{Config: conf}}
	return c.ownBackend() != ""
}

// backend checks the storage drivers that the overlay names: at most one that the
// options did not ask for, which the image serves, and only in place of the
// filesystem.
func (c *checker) backend() {
	present := rendered(c.in.Config.Storage.Backend)
	brought := ""
	for _, driver := range c.drivers() {
		path := "storage." + driver
		switch {
		case driver == present && c.ownBackend() == "":
		case driver == present:
			c.complain(path, fmt.Sprintf("must be left out, or %q: there can be one storage backend", "storage."+c.ownBackend()))
		case driver == "s3" || driver == "s3aws" || driver == "swift":
			c.complain(path, fmt.Sprintf(`must be left out: set the options "storage-%s-*" instead`, strings.TrimSuffix(driver, "aws")))
		case !c.image.serves(driver):
			c.complain(path, fmt.Sprintf("is not a storage backend of %s: it has %s", c.image.name, strings.Join(c.image.drivers, ", ")))
		case present != "filesystem":
			c.complain(path, fmt.Sprintf(`must be left out, or the options "storage-%s-*": there can be one storage backend`, present))
		case brought != "":
			c.complain(path, fmt.Sprintf("must be left out, or %q: there can be one storage backend", "storage."+brought))
		default:
			brought = driver
		}
	}
}
