package operator

import (
	"context"
	"errors"
	"fmt"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// Access is how the unit itself reaches its registry.
type Access struct {
	// Netloc is how clients name the registry, host[:port]; Netlocs are all its names.
	Netloc  string
	Netlocs []string
	// Address is host:port on this machine.
	Address string
	// Certificate is the chain that the registry serves (PEM), nil over plain HTTP.
	Certificate []byte
	// User and Password are empty where the registry asks for none.
	User     string
	Password config.Secret
	// Engine says that the host's Docker Engine is in use.
	Engine bool
	// Proxy leads from the unit to other registries.
	Proxy Proxy
}

// Access says how to push to the registry. It is an error if the unit is not ready or
// the registry takes no pushes, which clients would try again for most of a minute.
func (o *Operator) Access(ctx context.Context) (Access, error) {
	if err := o.ready(ctx); err != nil {
		return Access{}, err
	}
	conf, err := o.config(ctx)
	if err != nil {
		return Access{}, err
	}
	if err := closed(conf); err != nil {
		return Access{}, err
	}
	in, err := o.read(ctx, conf, "")
	if err != nil {
		return Access{}, err
	}
	return o.access(in)
}

// access is how the unit that in describes reaches its registry.
func (o *Operator) access(in desired.Input) (Access, error) {
	reach, err := desired.Reached(in)
	if err != nil {
		return Access{}, err
	}
	conf := in.Config
	access := Access{
		Netloc:  reach.Netloc,
		Netlocs: reach.Netlocs,
		Address: fmt.Sprintf("127.0.0.1:%d", conf.HTTP.Port),
		Engine:  conf.Container.Runtime == config.Docker,
		Proxy:   o.Unit.Proxy(),
	}
	if reach.Certificate != nil {
		access.Certificate = reach.Certificate.Chain
	}
	access.User, access.Password, err = o.credentials(conf.Auth)
	return access, err
}

func (o *Operator) ready(ctx context.Context) error {
	status, err := o.Unit.Status(ctx)
	if err != nil {
		return err
	}
	if status.Level != desired.Active {
		return fmt.Errorf("registry is not ready: %s", status.Message)
	}
	return nil
}

// closed is the option by which the registry takes no pushes.
func closed(conf config.Config) error {
	switch {
	case conf.Mirror != nil:
		return errors.New("registry takes no pushes: option \"cache-remoteurl\" makes it a cache of another registry; push to that one")
	case conf.Storage.ReadOnly:
		return errors.New("registry takes no pushes: option \"storage-read-only\" is on; set it to false first")
	}
	return nil
}

// Workload is the name of the registry's container or service.
func (o *Operator) Workload(ctx context.Context) (string, error) {
	options, err := o.Unit.Options(ctx)
	if err != nil {
		return "", err
	}
	name, err := config.ParseName(options)
	if err != nil {
		return "", fmt.Errorf("cannot tell the registry's name: %w", err)
	}
	return name, nil
}
