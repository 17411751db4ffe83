package desired

import (
	"fmt"
	"slices"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/registryconf"
	"docker-registry-operator/internal/relation"
)

// NoStorage says that the registry may not serve before a provider of s3 has told all
// that it takes to use its bucket: what is pushed meanwhile would be left behind.
type NoStorage struct {
	Provider string
	// Reason says what is wrong or missing.
	Reason string
}

// Error names the provider.
func (n *NoStorage) Error() string {
	return fmt.Sprintf("waiting for %s, which is to tell where images are kept: %s", n.Provider, n.Reason)
}

// storageFor chooses: the options, then a related provider of s3, the oldest of several,
// then the unit's own files. It comes with what the operator should know of it. An error
// is a [*NoStorage].
func storageFor(in Input) (storage config.Storage, notes []string, err error) {
	storage = in.Config.Storage
	providers := in.Relations.Buckets
	if len(providers) == 0 {
		return storage, nil, nil
	}
	if storage.Related == nil || registryconf.BringsBackend(in.Config) {
		return storage, []string{"Storage is from the options; s3-credentials is not used."}, nil
	}
	for _, other := range providers[1:] {
		notes = append(notes, fmt.Sprintf("Storage is from %s; %s is not used.", providers[0].Application, other.Application))
	}
	told := relation.S3In(providers[0].App)
	if told.Secret != "" {
		told = told.With(in.Facts.Secrets[told.Secret])
	}
	wait := func(reason string) error { return &NoStorage{Provider: providers[0].Application, Reason: reason} }
	if missing := missingOf(told); len(missing) > 0 {
		return storage, nil, wait("it has not told " + strings.Join(missing, ", "))
	}
	related := *storage.Related
	related.Use(config.Bucket{
		Name: told.Bucket, Endpoint: told.Endpoint, Region: told.Region, Path: told.Path,
		AccessKey: told.AccessKey, SecretKey: told.SecretKey,
		ByHost: told.Style == "host", ByPath: told.Style == "path", OldSignatures: told.Signatures == "2",
	})
	if fault := related.Fault(); fault != "" {
		return storage, nil, wait(fault)
	}
	storage.Backend = related
	if told.CA != nil {
		chain, err := config.ParseAuthorities(told.CA)
		if err != nil {
			return storage, nil, wait(fmt.Sprintf("its tls-ca-chain %v", err))
		}
		storage.CA = slices.Concat(storage.CA, chain)
	}
	return storage, notes, nil
}

// missingOf is what a provider has still to tell, in the words of the interface.
func missingOf(told relation.S3) []string {
	var missing []string
	for _, item := range []struct {
		name string
		told bool
	}{
		{"bucket", told.Bucket != ""},
		{"endpoint or region", told.Endpoint != "" || told.Region != ""},
		{"access-key", !told.AccessKey.IsZero()},
		{"secret-key", !told.SecretKey.IsZero()},
	} {
		if !item.told {
			missing = append(missing, item.name)
		}
	}
	return missing
}

// bucketRequests ask providers of s3 for a bucket, in the application's databag, which
// only the leader may write and read.
func bucketRequests(in Input) []Databag {
	if !in.Facts.Leader {
		return nil
	}
	var bags []Databag
	for _, provider := range in.Relations.Buckets {
		bags = append(bags, Databag{
			Relation: provider.ID, Application: true, Now: provider.OwnApp,
			Settings: relation.S3Request(wantedBucket(in)),
		})
	}
	return bags
}

// wantedBucket is the application's name and the first part of the model's ID: names of
// buckets are shared by all who use the service.
func wantedBucket(in Input) string {
	const most = 54
	name := realm(in.Facts.Unit)
	name = name[:min(len(name), most)]
	model, _, _ := strings.Cut(in.Facts.Model, "-")
	if model == "" {
		return name
	}
	return name + "-" + model
}
