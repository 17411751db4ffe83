package oci

import (
	"context"
	"regexp"
	"strings"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/reference"
)

// A verifier checks a manifest as distribution does before it stores one.
type verifier struct{ registry distribution.Namespace }

// newVerifier is one with the rules of the configuration, as the application reads them:
// https://github.com/distribution/distribution/blob/v3.1.2/registry/handlers/app.go
func newVerifier(driver storagedriver.StorageDriver, rules configuration.Validation) (*verifier, error) {
	var options []storage.RegistryOption
	if rules.Enabled || !rules.Disabled {
		urls, err := urlRules(rules.Manifests.URLs)
		if err != nil {
			return nil, err
		}
		options = append(urls, indexRules(rules.Manifests.Indexes)...)
	}
	registry, err := storage.NewRegistry(context.Background(), untouched{driver}, options...)
	if err != nil {
		return nil, err
	}
	return &verifier{registry}, nil
}

func urlRules(urls configuration.URLs) ([]storage.RegistryOption, error) {
	var options []storage.RegistryOption
	for _, rule := range []struct {
		patterns []string
		option   func(*regexp.Regexp) storage.RegistryOption
	}{
		{urls.Allow, storage.ManifestURLsAllowRegexp},
		{urls.Deny, storage.ManifestURLsDenyRegexp},
	} {
		if len(rule.patterns) == 0 {
			continue
		}
		pattern, err := regexp.Compile("(?:" + strings.Join(rule.patterns, ")|(?:") + ")")
		if err != nil {
			return nil, err
		}
		options = append(options, rule.option(pattern))
	}
	return options, nil
}

func indexRules(indexes configuration.ValidationIndexes) []storage.RegistryOption {
	if indexes.Platforms == "none" {
		return nil
	}
	options := []storage.RegistryOption{storage.EnableValidateImageIndexImagesExist}
	if indexes.Platforms == "list" {
		for _, platform := range indexes.PlatformList {
			options = append(options, storage.AddValidateImageIndexImagesExistPlatform(platform.Architecture, platform.OS))
		}
	}
	return options
}

// Check returns what is wrong with a manifest for that repository.
func (v *verifier) Check(ctx context.Context, name reference.Named, manifest distribution.Manifest) error {
	repository, err := v.registry.Repository(ctx, name)
	if err != nil {
		return err
	}
	service, err := repository.Manifests(ctx)
	if err != nil {
		return err
	}
	_, err = service.Put(ctx, manifest)
	return err
}

// untouched is a storage that keeps nothing of what it is given: distribution checks a manifest only
// when it stores it.
type untouched struct{ storagedriver.StorageDriver }

// PutContent drops content.
func (untouched) PutContent(context.Context, string, []byte) error { return nil }
