// Package operator is the pipeline of every hook: it reads the unit, decides, makes
// it so and reports the status.
package operator

import (
	"context"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/relation"
)

// Unit is the charm's world: a unit under Juju, or one that lives in files when
// there is no Juju.
type Unit interface {
	// Name is the unit's name, `docker-registry/0`.
	Name() string
	// Options are the values of all options that have one.
	Options(ctx context.Context) (config.Options, error)
	// Leader says whether the unit is its application's leader.
	Leader(ctx context.Context) (bool, error)
	// Shared is a setting that the leader shares with all units, "" if there is none.
	Shared(ctx context.Context, key string) (string, error)
	// SetShared shares a setting; only the leader may.
	SetShared(ctx context.Context, key, value string) error
	// Addresses are the ingress addresses of an endpoint, at least one.
	Addresses(ctx context.Context, endpoint string) ([]string, error)
	// PublicAddress is the machine's public address, "" if nobody knows one.
	PublicAddress(ctx context.Context) (string, error)
	// Storage is the instance of a storage that is attached to the unit, zero if none is;
	// known says that the event tells of it.
	Storage(ctx context.Context, name string) (storage desired.Storage, known bool, err error)
	// Relations are the unit's relations at an endpoint, in the order of their IDs. Only
	// parts of them are read.
	Relations(ctx context.Context, endpoint string, parts relation.Parts) ([]relation.Relation, error)
	// Publish changes what the unit tells over a relation; an empty value removes a key.
	Publish(ctx context.Context, id string, settings map[string]string) error
	// PublishApp changes what the unit's application tells over a relation; only the
	// leader may.
	PublishApp(ctx context.Context, id string, settings map[string]string) error
	// Secret is the content of a secret of Juju at its last revision.
	Secret(ctx context.Context, uri string) (map[string]config.Secret, error)
	// Model is the ID of the unit's model, "" without one.
	Model() string
	// OpenedPorts are the TCP ports that are open, ascending.
	OpenedPorts(ctx context.Context) ([]int, error)
	OpenPort(ctx context.Context, port int) error
	ClosePort(ctx context.Context, port int) error
	// Status is the unit's status as it is now.
	Status(ctx context.Context) (desired.Status, error)
	SetStatus(ctx context.Context, status desired.Status) error
	// SetVersion tells the version of the registry.
	SetVersion(ctx context.Context, version string) error
	// Proxy is the model's proxy settings for what the charm itself downloads.
	Proxy() Proxy
}

// Proxy is a model's proxy settings.
type Proxy = desired.Proxy

// Action is the action that the unit was asked to run.
type Action interface {
	// Name is the action's name, as in actions.yaml.
	Name() string
	// Params are the parameters given, defaults filled in: string, bool, int64, float64.
	Params(ctx context.Context) (map[string]any, error)
	// Log shows a line of progress to whoever waits for the action.
	Log(ctx context.Context, line string) error
	// Set adds results; keys are dotted lower-case paths.
	Set(ctx context.Context, results map[string]string) error
	// Fail ends the action as failed.
	Fail(ctx context.Context, message string) error
}
