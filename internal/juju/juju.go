// Package juju is the unit and its action as Juju's hook tools show them. It is
// the only package that runs hook tools; what their answers mean for the registry
// is left to package operator.
package juju

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/operator"
)

// Unit is the unit that the hook runs for. It holds nothing that changes while a
// hook runs, so each method is one hook tool call unless it says otherwise.
type Unit struct {
	getenv func(string) string
	// ids are the IDs of relations by endpoint, as far as they were asked for.
	ids map[string][]string
}

var _ operator.Unit = (*Unit)(nil)

// NewUnit is the unit that the environment names, as [os.Getenv] reads it.
func NewUnit(getenv func(string) string) (*Unit, error) {
	if name := getenv("JUJU_UNIT_NAME"); !strings.Contains(name, "/") {
		return nil, fmt.Errorf("cannot tell the unit from JUJU_UNIT_NAME=%q", name)
	}
	return &Unit{getenv: getenv, ids: map[string][]string{}}, nil
}

// Name is the unit's name, `docker-registry/0`.
func (u *Unit) Name() string { return u.getenv("JUJU_UNIT_NAME") }

// Options are the values of all options that have one.
func (u *Unit) Options(ctx context.Context) (config.Options, error) {
	return ask(ctx, decodeOptions, "config-get")
}

// Leader says whether the unit is its application's leader. Juju guarantees the
// answer for 30 seconds.
func (u *Unit) Leader(ctx context.Context) (bool, error) {
	return ask(ctx, decode[bool], "is-leader")
}

// Addresses are the ingress addresses of an endpoint, or the address that the endpoint
// is bound to where Juju knows no ingress address. There is at least one.
func (u *Unit) Addresses(ctx context.Context, endpoint string) ([]string, error) {
	return ask(ctx, decodeAddresses, "network-get", endpoint)
}

// PublicAddress is the machine's public address, "" if it has none or this Juju does
// not tell.
func (u *Unit) PublicAddress(ctx context.Context) (string, error) {
	address, err := ask(ctx, decode[string], "unit-get", "public-address")
	if errors.Is(err, errNoTool) || err != nil && strings.Contains(err.Error(), "no public address") {
		return "", nil
	}
	return address, err
}

// OpenedPorts are the TCP ports that are open, ascending.
func (u *Unit) OpenedPorts(ctx context.Context) ([]int, error) {
	return ask(ctx, decodePorts, "opened-ports")
}

// OpenPort opens a TCP port.
func (u *Unit) OpenPort(ctx context.Context, port int) error {
	return tell(ctx, "open-port", strconv.Itoa(port)+"/tcp")
}

// ClosePort closes a TCP port; a port that is not open is no error.
func (u *Unit) ClosePort(ctx context.Context, port int) error {
	return tell(ctx, "close-port", strconv.Itoa(port)+"/tcp")
}

// Status is the unit's workload status as Juju has it. Its level may also be one
// that only Juju sets, such as "unknown".
func (u *Unit) Status(ctx context.Context) (desired.Status, error) {
	return ask(ctx, decodeStatus, "status-get", "--include-data")
}

// SetStatus sets the unit's workload status.
func (u *Unit) SetStatus(ctx context.Context, status desired.Status) error {
	return tell(ctx, "status-set", "--", string(status.Level), argument(status.Message))
}

// SetVersion tells the version of the registry, as `juju status` shows it.
func (u *Unit) SetVersion(ctx context.Context, version string) error {
	return tell(ctx, "application-version-set", "--", argument(version))
}

// Proxy is the model's proxy settings (juju-http-proxy and the like), which Juju
// hands to hooks under names that do not change what programs do.
func (u *Unit) Proxy() operator.Proxy {
	return operator.Proxy{
		HTTP:  u.getenv("JUJU_CHARM_HTTP_PROXY"),
		HTTPS: u.getenv("JUJU_CHARM_HTTPS_PROXY"),
		No:    u.getenv("JUJU_CHARM_NO_PROXY"),
	}
}
