// Package charm holds the charm's declarations: what config.yaml, actions.yaml and
// metadata.yaml tell Juju. What they mean is left to the packages that act on them.
package charm

import _ "embed"

//go:embed config.yaml
var configYAML string

//go:embed actions.yaml
var actionsYAML string

//go:embed metadata.yaml
var metadataYAML string

// Config is config.yaml: the options with their types and defaults.
func Config() string { return configYAML }

// Actions is actions.yaml: the actions with their parameters.
func Actions() string { return actionsYAML }

// Metadata is metadata.yaml: the charm's name and endpoints.
func Metadata() string { return metadataYAML }
