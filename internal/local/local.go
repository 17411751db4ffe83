// Package local is a unit and its action without Juju: what a controller would keep
// of the unit is in one file, and what it would be told comes from the command line.
// Options and parameters get their types and defaults from the charm's own
// declarations, as a controller's would. What they mean is left to others.
package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/juju/charm/v12"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/operator"
	"docker-registry-operator/internal/relation"
)

// application is the name that the charm's application has without Juju.
const application = "docker-registry"

// Settings are what a unit without Juju is made of.
type Settings struct {
	// Layout says where the machine's files are.
	Layout desired.Layout
	// Options is the path of a YAML file of options; "" means all defaults.
	Options string
	// Address is the unit's address; "" means the one that the machine's default
	// route uses, or 127.0.0.1 without such a route.
	Address string
	// Declared is config.yaml.
	Declared string
	// Getenv reads the environment, for http_proxy and the like.
	Getenv func(string) string
}

// Unit is a unit that lives in files. It is always its application's leader.
type Unit struct {
	settings Settings
	declared *charm.Config
	record   record
}

var _ operator.Unit = (*Unit)(nil)

// NewUnit is the unit of these settings. It touches no file.
func NewUnit(settings Settings) (*Unit, error) {
	declared, err := charm.ReadConfig(strings.NewReader(settings.Declared))
	if err != nil {
		return nil, fmt.Errorf("cannot read config.yaml: %w", err)
	}
	return &Unit{
		settings: settings,
		declared: declared,
		record:   record{path: path.Join(settings.Layout.State(), "unit.yaml")},
	}, nil
}

// Name is `docker-registry/0`; under a root of its own it holds a digest of that
// root, so that units of different roots leave each other's containers alone.
func (u *Unit) Name() string {
	root := path.Clean("/" + u.settings.Layout.Root)
	if root == "/" {
		return application + "/0"
	}
	digest := sha256.Sum256([]byte(root))
	return application + "-" + hex.EncodeToString(digest[:4]) + "/0"
}

// Options are the options of the file over the defaults. An option that is not
// declared or has another type than declared is among the [config.Problems].
func (u *Unit) Options(context.Context) (config.Options, error) {
	given, err := readOptions(u.settings.Options)
	if err != nil {
		return nil, err
	}
	return typed(u.declared, given)
}

// Leader is always true.
func (u *Unit) Leader(context.Context) (bool, error) { return true, nil }

// Shared is a setting of the unit's file, "" if there is none.
func (u *Unit) Shared(_ context.Context, key string) (string, error) {
	kept, err := u.record.read()
	return kept.Shared[key], err
}

// SetShared keeps a setting in the unit's file.
func (u *Unit) SetShared(_ context.Context, key, value string) error {
	return u.record.update(func(kept *kept) {
		if kept.Shared == nil {
			kept.Shared = map[string]string{}
		}
		kept.Shared[key] = value
	})
}

// Addresses are the same one for every endpoint.
func (u *Unit) Addresses(context.Context, string) ([]string, error) {
	if u.settings.Address != "" {
		return []string{u.settings.Address}, nil
	}
	return []string{routedAddress()}, nil
}

// PublicAddress is not known.
func (u *Unit) PublicAddress(context.Context) (string, error) { return "", nil }

// Storage is not known: there is none.
func (u *Unit) Storage(context.Context, string) (desired.Storage, bool, error) {
	return desired.Storage{}, false, nil
}

// Relations are none: there is nobody to relate to.
func (u *Unit) Relations(context.Context, string, relation.Parts) ([]relation.Relation, error) {
	return nil, nil
}

// PublishApp fails: there is no relation.
func (u *Unit) PublishApp(ctx context.Context, id string, settings map[string]string) error {
	return u.Publish(ctx, id, settings)
}

// Secret fails: there are none without Juju.
func (u *Unit) Secret(context.Context, string) (map[string]config.Secret, error) {
	return nil, config.ErrNoSecrets
}

// Model is none.
func (u *Unit) Model() string { return "" }

// Publish fails: there is no relation.
func (u *Unit) Publish(_ context.Context, id string, _ map[string]string) error {
	return fmt.Errorf("cannot publish over relation %s: there is none without Juju", id)
}

// routedAddress is the IPv4 address that the default route uses. Connecting a UDP
// socket sends nothing; the address is one of those set aside for documentation.
func routedAddress() string {
	const loopback = "127.0.0.1"
	connection, err := net.Dial("udp4", "192.0.2.1:9")
	if err != nil {
		return loopback
	}
	defer connection.Close()
	if address, isUDP := connection.LocalAddr().(*net.UDPAddr); isUDP && !address.IP.IsUnspecified() {
		return address.IP.String()
	}
	return loopback
}

// OpenedPorts are the TCP ports that are open, ascending.
func (u *Unit) OpenedPorts(context.Context) ([]int, error) {
	kept, err := u.record.read()
	return kept.Ports, err
}

// OpenPort notes that a port is open. The machine's firewall is left alone.
func (u *Unit) OpenPort(_ context.Context, port int) error {
	return u.record.update(func(kept *kept) {
		if at, found := slices.BinarySearch(kept.Ports, port); !found {
			kept.Ports = slices.Insert(kept.Ports, at, port)
		}
	})
}

// ClosePort notes that a port is closed.
func (u *Unit) ClosePort(_ context.Context, port int) error {
	return u.record.update(func(kept *kept) {
		if at, found := slices.BinarySearch(kept.Ports, port); found {
			kept.Ports = slices.Delete(kept.Ports, at, at+1)
		}
	})
}

// Status is the unit's status; before there is one it is Juju's own "unknown".
func (u *Unit) Status(context.Context) (desired.Status, error) {
	kept, err := u.record.read()
	if kept.Status.Level == "" {
		kept.Status.Level = "unknown"
	}
	return desired.Status(kept.Status), err
}

// SetStatus keeps the unit's status.
func (u *Unit) SetStatus(_ context.Context, status desired.Status) error {
	return u.record.update(func(kept *kept) { kept.Status = keptStatus(status) })
}

// Version is the version of the registry, "" if it was never told.
func (u *Unit) Version(context.Context) (string, error) {
	kept, err := u.record.read()
	return kept.Version, err
}

// SetVersion keeps the version of the registry.
func (u *Unit) SetVersion(_ context.Context, version string) error {
	return u.record.update(func(kept *kept) { kept.Version = version })
}

// Proxy is what the environment says, in capitals or not.
func (u *Unit) Proxy() operator.Proxy {
	either := func(name string) string {
		if value := u.settings.Getenv(name); value != "" {
			return value
		}
		return u.settings.Getenv(strings.ToUpper(name))
	}
	return operator.Proxy{HTTP: either("http_proxy"), HTTPS: either("https_proxy"), No: either("no_proxy")}
}
