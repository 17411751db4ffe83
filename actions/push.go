package actions

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/distribution/reference"

	"docker-registry-operator/internal/image"
	"docker-registry-operator/internal/operator"
)

// push takes an image into the registry: from the registry that its name says, from
// the host's Docker Engine, or from a file or directory of the unit.
func push(ctx context.Context, call call) (results, error) {
	request, err := call.pushRequest()
	if err != nil {
		return nil, err
	}
	access, err := call.Unit.Access(ctx)
	if err != nil {
		return nil, err
	}
	tag, err := request.target(access)
	if err != nil {
		return nil, err
	}
	switch {
	case request.file():
		err = image.PushFile(ctx, request.image, tag, destination(access), call.progress)
	case access.Engine:
		err = call.pushByEngine(ctx, request, tag, access)
	case request.pull:
		err = image.Copy(ctx, source(request, access), tag, destination(access), call.progress)
	default:
		err = errors.New("parameter \"pull\": there is no Docker Engine that could have the image; leave pull out, or give image=/path/of/an/image.tar")
	}
	if err != nil {
		return nil, err
	}
	return results{"outcome": "success", "raw": "pushed " + tag}, nil
}

func (c call) pushByEngine(ctx context.Context, request pushRequest, tag string, access operator.Access) error {
	if request.pull {
		c.progress("pulling " + request.image)
		if err := c.Engine.Pull(ctx, request.image, c.progress); err != nil {
			return err
		}
	}
	if err := c.Engine.Tag(ctx, request.image, tag); err != nil {
		return err
	}
	c.progress("pushing " + tag)
	return c.Engine.Push(ctx, tag, access.User, access.Password, c.progress)
}

func destination(access operator.Access) image.Destination {
	return image.Destination{
		Address:     access.Address,
		Certificate: access.Certificate,
		User:        access.User,
		Password:    access.Password,
	}
}

func source(request pushRequest, access operator.Access) image.Source {
	proxy := access.Proxy
	return image.Source{Image: request.image, HTTPProxy: proxy.HTTP, HTTPSProxy: proxy.HTTPS, NoProxy: proxy.No}
}

type pushRequest struct {
	image, tag string
	pull       bool
}

func (c call) pushRequest() (pushRequest, error) {
	var request pushRequest
	var errs [3]error
	request.image, errs[0] = c.params.text("image")
	request.tag, errs[1] = c.params.text("tag")
	request.pull, errs[2] = c.params.claim("pull", true)
	if err := errors.Join(errs[:]...); err != nil {
		return pushRequest{}, err
	}
	if request.image == "" {
		return pushRequest{}, errors.New(`parameter "image": must be given, such as image=ubuntu:24.04`)
	}
	return request, nil
}

// file says that the image is a file or directory of the unit.
func (r pushRequest) file() bool { return strings.HasPrefix(r.image, "/") }

// target is the full name under which the image goes into the registry: the tag
// parameter, or the registry's netloc with the last part of the image's name.
func (r pushRequest) target(access operator.Access) (string, error) {
	switch {
	case r.tag != "":
		return r.within(access)
	case r.file():
		name, err := image.NameInFile(r.image)
		if err != nil {
			return "", fmt.Errorf("parameter %q: must be given: %w", "tag", err)
		}
		return access.Netloc + "/" + path.Base(name), nil
	}
	named, err := reference.ParseNormalizedNamed(r.image)
	if err != nil {
		return "", fmt.Errorf("parameter %q: %w", "image", err)
	}
	tagged, ok := reference.TagNameOnly(named).(reference.NamedTagged)
	if !ok {
		return "", fmt.Errorf("parameter %q: must be given for an image named by digest, such as tag=%s/%s:1.0",
			"tag", access.Netloc, path.Base(reference.Path(named)))
	}
	return fmt.Sprintf("%s/%s:%s", access.Netloc, path.Base(reference.Path(named)), tagged.Tag()), nil
}

// within is the tag parameter, which names this registry or none.
func (r pushRequest) within(access operator.Access) (string, error) {
	named, err := reference.ParseNormalizedNamed(r.tag)
	if err != nil {
		return "", fmt.Errorf("parameter %q: %w", "tag", err)
	}
	if _, ok := named.(reference.Digested); ok {
		return "", fmt.Errorf("parameter %q: %q must end in a tag, not in a digest", "tag", r.tag)
	}
	for _, netloc := range access.Netlocs {
		if reference.Domain(named) == netloc {
			return reference.TagNameOnly(named).String(), nil
		}
	}
	if first, _, found := strings.Cut(r.tag, "/"); found && strings.ContainsAny(first, ".:") {
		return "", fmt.Errorf("parameter %q: %q is not in this registry; begin it with %s/", "tag", r.tag, access.Netloc)
	}
	return access.Netloc + "/" + strings.TrimPrefix(reference.TagNameOnly(named).String(), "docker.io/"+libraryPrefix(r.tag)), nil
}

// libraryPrefix is what normalizing puts before a name without a slash.
func libraryPrefix(tag string) string {
	if strings.Contains(tag, "/") {
		return ""
	}
	return "library/"
}
