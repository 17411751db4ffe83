package registryconf

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"gopkg.in/yaml.v3"
)

// Place is where a registry with this config.yml keeps its images: a directory, or words
// such as `s3 bucket "images" at s3.example.com`. It is the same as long as the images
// are, whatever the credentials and the settings of the transport, and holds no secret.
func Place(text []byte) (string, error) {
	var document struct {
		Storage map[string]map[string]any `yaml:"storage"`
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		return "", fmt.Errorf("cannot read the storage of config.yml: %w", err)
	}
	for driver, parameters := range document.Storage {
		switch driver {
		case "maintenance", "cache", "delete", "redirect", "tag":
			continue
		}
		return placeOf(driver, parameters), nil
	}
	return "", errors.New("cannot find a storage in config.yml")
}

// placeOf says it by those parameters that the drivers of distribution know a place by.
func placeOf(driver string, parameters map[string]any) string {
	text := func(name string) string {
		value, _ := parameters[name].(string)
		return value
	}
	if driver == "filesystem" {
		return cmp.Or(text("rootdirectory"), "/var/lib/registry")
	}
	var place strings.Builder
	place.WriteString(driver)
	say := func(format, value string) {
		if value != "" {
			fmt.Fprintf(&place, format, value)
		}
	}
	say(" bucket %q", text("bucket"))
	say(" container %q", text("container"))
	say(" of %s", text("accountname"))
	say(" of %s", cmp.Or(text("tenant"), text("tenantid"), account(text("username"))))
	say(" at %s", hostOf(cmp.Or(text("regionendpoint"), text("authurl"), text("region"))))
	if text("authurl") != "" {
		say(" in %s", text("region"))
	}
	say(" below %q", strings.Trim(cmp.Or(text("rootdirectory"), text("prefix")), "/"))
	return place.String()
}

// account is that of a Swift user, as its first version of authentication writes it:
// account:user.
func account(username string) string {
	name, _, found := strings.Cut(username, ":")
	if !found {
		return ""
	}
	return name
}

// hostOf is the host of a URL, or what stands in its place.
func hostOf(address string) string {
	if parsed, err := url.Parse(address); err == nil && parsed.Host != "" {
		return parsed.Host
	}
	return strings.TrimSuffix(address[strings.LastIndex(address, "@")+1:], "/")
}
