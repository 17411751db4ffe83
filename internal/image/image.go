// Package image takes images into a registry: from other registries and from files.
// What a Docker Engine has, it takes there itself.
package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	remotetransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"docker-registry-operator/internal/config"
)

// Destination is a registry on this machine.
type Destination struct {
	// Address is where it listens, host:port; the name in a reference is not looked up.
	Address string
	// Certificate is the chain (PEM) that it must serve; nil means plain HTTP.
	Certificate []byte
	// User and Password are empty if it asks for none.
	User     string
	Password config.Secret
}

// Source is an image in another registry.
type Source struct {
	// Image is its reference, as Docker reads it: `ubuntu:24.04`.
	Image string
	// Proxies are URLs, "" for none; NoProxy is a comma-separated list.
	HTTPProxy, HTTPSProxy, NoProxy string
}

// Copy takes an image of another registry into to under the name tag. An image for
// several platforms is copied whole. Progress hears a line now and then.
func Copy(ctx context.Context, from Source, tag string, to Destination, progress func(string)) error {
	source, err := name.ParseReference(from.Image)
	if err != nil {
		return fmt.Errorf("cannot read image name: %w", err)
	}
	progress("pulling " + source.Name())
	descriptor, err := remote.Get(source, remote.WithContext(ctx), remote.WithTransport(from.transport()))
	if err != nil {
		return fmt.Errorf("cannot pull %s: %w", source.Name(), err)
	}
	if descriptor.MediaType.IsIndex() {
		index, err := descriptor.ImageIndex()
		if err != nil {
			return fmt.Errorf("cannot pull %s: %w", source.Name(), err)
		}
		return pushIndex(ctx, index, tag, to, progress)
	}
	image, err := descriptor.Image()
	if err != nil {
		return fmt.Errorf("cannot pull %s: %w", source.Name(), err)
	}
	return pushImage(ctx, image, tag, to, progress)
}

// Has says that a registry has an image of the name tag.
func Has(ctx context.Context, tag string, in Destination) (bool, error) {
	target, err := name.ParseReference(tag)
	if err != nil {
		return false, fmt.Errorf("cannot read tag: %w", err)
	}
	transport, err := in.transport()
	if err != nil {
		return false, err
	}
	_, err = remote.Head(target, remote.WithContext(ctx), remote.WithTransport(transport), remote.WithAuth(in.auth()))
	var answer *remotetransport.Error
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return false, nil
	}
	return false, fmt.Errorf("cannot look for %s: %w", tag, err)
}

func pushImage(ctx context.Context, image v1.Image, tag string, to Destination, progress func(string)) error {
	return push(ctx, tag, to, progress, func(target name.Reference, options ...remote.Option) error {
		return remote.Write(target, image, options...)
	})
}

func pushIndex(ctx context.Context, index v1.ImageIndex, tag string, to Destination, progress func(string)) error {
	return push(ctx, tag, to, progress, func(target name.Reference, options ...remote.Option) error {
		return remote.WriteIndex(target, index, options...)
	})
}

type write func(target name.Reference, options ...remote.Option) error

func push(ctx context.Context, tag string, to Destination, progress func(string), write write) error {
	target, err := name.ParseReference(tag)
	if err != nil {
		return fmt.Errorf("cannot read tag: %w", err)
	}
	transport, err := to.transport()
	if err != nil {
		return err
	}
	progress("pushing " + tag)
	updates := make(chan v1.Update, 16)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watch(updates, progress)
	}()
	err = write(target, remote.WithContext(ctx), remote.WithTransport(transport),
		remote.WithAuth(to.auth()), remote.WithProgress(updates))
	<-watched
	if err != nil {
		return fmt.Errorf("cannot push %s: %w", tag, err)
	}
	return nil
}

func (d Destination) auth() authn.Authenticator {
	if d.User == "" {
		return authn.Anonymous
	}
	return &authn.Basic{Username: d.User, Password: d.Password.Reveal()}
}
