package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const (
	imageRepository = "demo/image"
	imageName       = imageRepository + ":1.0"
)

// makeImage makes an image of three layers of random bytes and saves it as
// `docker save` does.
func makeImage(file string) (v1.Image, error) {
	image, err := random.Image(256<<10, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot make an image: %w", err)
	}
	tag, err := name.NewTag(imageName)
	if err != nil {
		return nil, fmt.Errorf("cannot name the image: %w", err)
	}
	if err := tarball.WriteToFile(file, tag, image); err != nil {
		return nil, fmt.Errorf("cannot save the image: %w", err)
	}
	return image, nil
}

// client is a client of the registry that trusts its authority and knows its user.
type client struct {
	registry name.Registry
	options  []remote.Option
}

func newClient(o options) (client, error) {
	ca, err := base64.StdEncoding.DecodeString(o.CA)
	if err != nil {
		return client{}, fmt.Errorf("cannot decode CA: %w", err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(ca) {
		return client{}, errors.New("cannot read CA: no certificate in tls-ca-blob")
	}
	registry, err := name.NewRegistry(o.netloc())
	if err != nil {
		return client{}, fmt.Errorf("cannot name the registry: %w", err)
	}
	return client{registry: registry, options: []remote.Option{
		remote.WithTransport(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}),
		remote.WithAuth(&authn.Basic{Username: o.User, Password: o.Password}),
	}}, nil
}

func (c client) with(ctx context.Context) []remote.Option {
	return append([]remote.Option{remote.WithContext(ctx)}, c.options...)
}

// list is every tag of every repository.
func (c client) list(ctx context.Context) ([]string, error) {
	repositories, err := remote.Catalog(ctx, c.registry, c.with(ctx)...)
	if err != nil {
		return nil, fmt.Errorf("cannot list repositories: %w", err)
	}
	var names []string
	for _, repository := range repositories {
		tags, err := remote.List(c.registry.Repo(repository), c.with(ctx)...)
		if err != nil {
			return nil, fmt.Errorf("cannot list tags of %s: %w", repository, err)
		}
		for _, tag := range tags {
			names = append(names, repository+":"+tag)
		}
	}
	return names, nil
}

// pullBack pulls by digest what target names and compares it with pushed.
func (c client) pullBack(ctx context.Context, target string, pushed v1.Image) (string, error) {
	tag, err := name.NewTag(target)
	if err != nil {
		return "", fmt.Errorf("cannot read tag: %w", err)
	}
	head, err := remote.Head(tag, c.with(ctx)...)
	if err != nil {
		return "", fmt.Errorf("cannot find %s: %w", tag, err)
	}
	pulled, err := remote.Image(tag.Digest(head.Digest.String()), c.with(ctx)...)
	if err != nil {
		return "", fmt.Errorf("cannot pull %s: %w", tag, err)
	}
	if err := validate.Image(pulled); err != nil {
		return "", fmt.Errorf("cannot pull %s whole: %w", tag, err)
	}
	was, err := contents(pushed)
	if err != nil {
		return "", err
	}
	is, err := contents(pulled)
	if err != nil {
		return "", err
	}
	if !slices.Equal(was, is) {
		return "", fmt.Errorf("pulled %v where %v was pushed", is, was)
	}
	return head.Digest.String(), nil
}

// contents are the digests of an image's configuration and of its layers' files.
func contents(image v1.Image) ([]v1.Hash, error) {
	config, err := image.ConfigName()
	if err != nil {
		return nil, fmt.Errorf("cannot read the image's configuration: %w", err)
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, fmt.Errorf("cannot read the image's layers: %w", err)
	}
	digests := []v1.Hash{config}
	for _, layer := range layers {
		digest, err := layer.DiffID()
		if err != nil {
			return nil, fmt.Errorf("cannot read a layer: %w", err)
		}
		digests = append(digests, digest)
	}
	return digests, nil
}
