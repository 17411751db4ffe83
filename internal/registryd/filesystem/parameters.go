package filesystem

import (
	"fmt"

	"github.com/distribution/distribution/v3/registry/storage/driver/base"
)

// What distribution's driver has, too.
const (
	defaultRoot = "/var/lib/registry"
	// Calls of the driver that run at the same time; those above the limit wait.
	defaultThreads, minThreads = 100, 25
)

type parameters struct {
	root    string
	threads uint64
}

// parse reads the section storage.filesystem of a configuration. An error names the parameter.
func parse(section map[string]any) (parameters, error) {
	parsed := parameters{root: defaultRoot}
	if root, ok := section["rootdirectory"]; ok {
		parsed.root = fmt.Sprint(root)
		if root == nil || parsed.root == "" {
			return parameters{}, fmt.Errorf("storage.filesystem.rootdirectory must be a directory, such as %s", defaultRoot)
		}
	}
	var err error
	if parsed.threads, err = base.GetLimitFromParameter(section["maxthreads"], minThreads, defaultThreads); err != nil {
		return parameters{}, fmt.Errorf("storage.filesystem.maxthreads must be a whole number, such as %d: %w", defaultThreads, err)
	}
	return parsed, nil
}
