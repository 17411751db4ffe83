package registryconf

import (
	"slices"
	"strings"

	"docker-registry-operator/internal/config"
)

// image is what one kind of registry serves of what the kinds differ in.
type image struct {
	name string
	// drivers are the storage drivers that it is linked with and that keep images.
	drivers []string
	// storageClasses are those that its S3 driver knows; nil for all.
	storageClasses []string
	// sections are the keys at the top of its configuration.
	sections []string
	// foreign are keys of another version, which it would ignore without a word, and
	// what to write instead.
	foreign map[string]string
	// clientRequest says that it can ask for a client certificate without requiring it.
	clientRequest bool
	// manyRedis says that it takes more of Redis than one server without TLS.
	manyRedis bool
}

// imageOf is the image of Input.Stock.
func imageOf(stock int) image {
	if stock == 2 {
		return image{
			name:           "a registry image of version 2",
			drivers:        []string{"azure", "filesystem", "gcs", "oss", "s3", "swift"},
			storageClasses: []string{"NONE", "STANDARD", "REDUCED_REDUNDANCY"},
			sections:       append(commonSections(), "compatibility", "reporting"),
			foreign: map[string]string{
				"redis.addrs":                  `must be left out: version 2 takes "redis.addr"`,
				"http.h2c":                     "is not known to version 2",
				"proxy.exec":                   "is not known to version 2",
				"storage.tag":                  "is not known to version 2",
				"auth.token.jwks":              "is not known to version 2",
				"validation.manifests.indexes": "is not known to version 2",
			},
		}
	}
	v3 := image{
		name:     "the built-in registry",
		drivers:  []string{"azure", "filesystem", "gcs", "s3", "swift"},
		sections: append(commonSections(), "tags"),
		foreign: map[string]string{
			"redis.addr": `must be left out: version 3 takes "redis.addrs", a list`,
			"redis.pool": `must be left out: version 3 takes "redis.poolsize" and the like`,
		},
		clientRequest: true,
		manyRedis:     true,
	}
	if stock == 3 {
		v3.name = "a registry image of version 3"
		// Distribution dropped it; the built-in registry has a driver of its own.
		v3.drivers = []string{"azure", "filesystem", "gcs", "s3"}
	}
	return v3
}

func commonSections() []string {
	return []string{
		"auth", "catalog", "health", "http", "log", "middleware", "notifications",
		"policy", "proxy", "redis", "storage", "validation", "version",
	}
}

func (i image) serves(driver string) bool { return slices.Contains(i.drivers, driver) }

func (i image) stores(class string) bool {
	return i.storageClasses == nil || slices.Contains(i.storageClasses, class)
}

// unserved are the options that the image cannot serve, and those that need what
// is not there.
func unserved(in Input) config.Problems {
	var problems config.Problems
	complain := func(option, text string) {
		problems = append(problems, config.Problem{Option: option, Text: text})
	}
	image := imageOf(in.Stock)
	switch backend := in.Config.Storage.Backend.(type) {
	case config.Swift:
		if !image.serves("swift") {
			complain("storage-swift-authurl", image.name+` does not serve Swift; reset "registry-image", the built-in registry serves it`)
		}
	case config.S3:
		if !image.stores(backend.StorageClass) {
			complain("storage-s3-storageclass", "must be "+strings.Join(image.storageClasses, ", ")+" with "+image.name)
		}
		if !backend.V4Auth && in.Config.Storage.Redirect {
			complain("storage-redirect-disable", `must be true unless "storage-s3-skip-v4-auth" is: URLs for clients cannot be signed by version 2`)
		}
	}
	if in.Config.Auth.Policy != nil && in.Stock != 0 {
		complain("auth-policy", image.name+` knows no rules; reset "registry-image", the built-in registry does, or reset this option`)
	}
	if mirror := in.Config.Mirror; mirror != nil && in.Stock == 2 && mirror.TTL != config.DefaultTTL {
		complain("cache-ttl", `must be "168h" with `+image.name)
	}
	problems = append(problems, unservedRedis(in.Config.Storage.Redis, image)...)
	if clients := in.Config.TLS.Clients; clients != nil {
		if in.TLS == nil {
			complain("tls-client-ca", "must be empty unless the registry has a certificate")
		}
		if !clients.Required && !image.clientRequest {
			complain("tls-client-auth", `must be "require" with `+image.name)
		}
	}
	return problems
}
