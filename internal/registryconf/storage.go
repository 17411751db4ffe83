package registryconf

import "docker-registry-operator/internal/config"

type storage struct {
	Filesystem  *filesystem `yaml:"filesystem,omitempty"`
	S3          *s3         `yaml:"s3,omitempty"`
	Swift       *swift      `yaml:"swift,omitempty"`
	Cache       *cache      `yaml:"cache,omitempty"`
	Delete      enabled     `yaml:"delete"`
	Redirect    redirect    `yaml:"redirect"`
	Maintenance maintenance `yaml:"maintenance"`
}

type filesystem struct {
	RootDirectory string `yaml:"rootdirectory"`
}

type cache struct {
	BlobDescriptor string `yaml:"blobdescriptor"`
}

// memoryCache is the cache in the registry's own memory.
const memoryCache = "inmemory"

type enabled struct {
	Enabled bool `yaml:"enabled"`
}

type redirect struct {
	Disable bool `yaml:"disable"`
}

type maintenance struct {
	ReadOnly      enabled `yaml:"readonly"`
	UploadPurging purging `yaml:"uploadpurging"`
}

// purging holds all four settings, because the registry refuses a part of them and
// an overlay may want to change just one.
type purging struct {
	Enabled  bool   `yaml:"enabled"`
	Age      string `yaml:"age"`
	Interval string `yaml:"interval"`
	DryRun   bool   `yaml:"dryrun"`
}

func newStorage(in Input) storage {
	wanted := in.Config.Storage
	rendered := storage{
		Redirect: redirect{Disable: !wanted.Redirect},
		// A pull-through cache cannot expire what it holds unless it may delete; its
		// clients cannot delete in either case.
		// https://distribution.github.io/distribution/recipes/mirror/
		Delete: enabled{wanted.Delete || in.Config.Mirror != nil},
		Maintenance: maintenance{
			ReadOnly: enabled{wanted.ReadOnly},
			// Who makes a registry read-only expects the backend to stay as it is.
			UploadPurging: purging{Enabled: !wanted.ReadOnly, Age: "168h", Interval: "24h"},
		},
	}
	_, own := wanted.Backend.(config.Filesystem)
	switch {
	case wanted.Redis != nil:
		rendered.Cache = &cache{BlobDescriptor: "redis"}
	case wanted.MemoryCache && own:
		// What another registry deletes from a storage that it shares, this one would go
		// on serving from its memory.
		rendered.Cache = &cache{BlobDescriptor: memoryCache}
	}
	switch backend := wanted.Backend.(type) {
	case config.S3:
		rendered.S3 = newS3(backend)
	case config.Swift:
		rendered.Swift = newSwift(backend)
	default:
		rendered.Filesystem = &filesystem{RootDirectory: in.Data}
	}
	return rendered
}
