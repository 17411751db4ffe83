package operator

import (
	"fmt"
	"strings"

	"docker-registry-operator/internal/config"
)

// unfit are the options of the storage behind a reason for which a registry refuses its
// configuration: what only it and the machine can tell.
func unfit(reason string, storage config.Storage) config.Problems {
	// Distribution says so as well if it cannot read the authorities for Redis.
	if strings.Contains(reason, "redis configuration required") && storage.Redis != nil && storage.Redis.TLS {
		return config.Problems{{
			Option: "storage-ca-blob",
			Text:   `must hold the authority of Redis: the registry finds no authorities of the machine that it could know it by`,
		}}
	}
	switch backend := storage.Backend.(type) {
	case config.S3:
		return unfitS3(reason, backend)
	case config.Swift:
		return unfitSwift(reason, backend)
	}
	return nil
}

// unfitS3 is about the regions of Amazon, which distribution knows and the charm does not.
func unfitS3(reason string, s3 config.S3) config.Problems {
	if !strings.Contains(reason, "invalid region provided") {
		return nil
	}
	return config.Problems{{
		Option: "storage-s3-region",
		Text:   fmt.Sprintf(`Amazon S3 has no region %q; set another one, or "storage-s3-regionendpoint" for another service`, s3.Region),
	}}
}

// unfitSwift is about signing in, which a registry does before it takes its configuration.
func unfitSwift(reason string, swift config.Swift) config.Problems {
	if !strings.Contains(reason, "cannot sign in to Swift") {
		return nil
	}
	for _, known := range []struct{ part, option, text string }{
		{"Swift answers 401", "storage-swift-password", `Swift does not let the user in: mend this option, the user name, the tenant or a domain`},
		{"object store in region", "storage-swift-region", fmt.Sprintf("Keystone knows no object store in region %q; set another one, or none", swift.Region)},
		{"object store in the catalogue", "storage-swift-authurl", "Keystone knows no object store for this tenant; set another URL or tenant"},
		{"x509:", "storage-ca-blob", "must hold the authority of Keystone and Swift, whose certificate is not trusted"},
		{"no such host", "storage-swift-authurl", "there is no such host; set the URL where Keystone or Swift is"},
	} {
		if strings.Contains(reason, known.part) {
			return config.Problems{{Option: known.option, Text: known.text}}
		}
	}
	return nil
}
