package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distribution/reference"

	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/relation"
)

// pendingRecord says that clients wait for images, so that all of them are asked again.
const pendingRecord = "image-requests"

// takeInTimeout bounds the time that a hook spends on one image: 4 GB at 100 Mbit/s
// take about six minutes.
const takeInTimeout = 10 * time.Minute

// Images takes images of other registries into the unit's own.
type Images interface {
	// Has says that the unit's registry has a repository's tag.
	Has(ctx context.Context, access Access, repository, tag string) (bool, error)
	// Take copies an image, named as Docker reads it, to a repository's tag.
	Take(ctx context.Context, access Access, image, repository, tag string, progress func(string)) error
}

// takeIn takes in what clients ask for, and answers them. What cannot be had is told in
// notes, and tried again by every hook.
func (o *Operator) takeIn(ctx context.Context, in desired.Input) (notes []string, err error) {
	if in.Facts.Stopped {
		return nil, nil
	}
	for _, client := range in.Relations.Clients {
		var answers []relation.ImageRequest
		for _, unit := range client.Names() {
			request := relation.ImageIn(client.Units[unit])
			if request == (relation.ImageRequest{}) {
				continue
			}
			answer, err := o.take(ctx, in, request)
			if err != nil {
				notes = append(notes, fmt.Sprintf("Image %q, which %s asks for, cannot be taken in: %v.", request.Image, unit, err))
				continue
			}
			answers = append(answers, answer)
		}
		if err := o.answer(ctx, client, answers); err != nil {
			return nil, err
		}
	}
	pending := ""
	if len(notes) > 0 {
		pending = "true"
	}
	return notes, o.Host.SetRecord(pendingRecord, pending)
}

// take sees to it that the registry has an image, and says as what. A tag that the
// registry has is never overwritten: it may be what an operator pushed, because the
// unit has no way to where the image comes from.
func (o *Operator) take(ctx context.Context, in desired.Input, request relation.ImageRequest) (relation.ImageRequest, error) {
	var none relation.ImageRequest
	if err := closed(in.Config); err != nil {
		return none, err
	}
	if in.Config.Auth.Token != nil {
		return none, errors.New("the token service gives the unit no right to push")
	}
	source, answer, err := imageNamed(request)
	if err != nil {
		return none, err
	}
	access, err := o.access(in)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, takeInTimeout)
	defer cancel()
	has, err := o.Images.Has(ctx, access, answer.Image, answer.Tag)
	if err != nil || has {
		return answer, err
	}
	if err := o.Images.Take(ctx, access, source, answer.Image, answer.Tag, o.progress(ctx)); err != nil {
		return none, err
	}
	o.Log.Info("image taken in", "image", source, "repository", answer.Image, "tag", answer.Tag)
	return answer, nil
}

// imageNamed is the whole name of what is asked for, and as what the registry has it:
// without the registry that it comes from.
func imageNamed(request relation.ImageRequest) (source string, answer relation.ImageRequest, err error) {
	named, err := reference.ParseNormalizedNamed(request.Image)
	if err == nil && request.Tag != "" {
		named, err = reference.WithTag(reference.TrimNamed(named), request.Tag)
	}
	if err != nil {
		return "", answer, errors.New("it must be a name such as ubuntu:24.04")
	}
	tagged, isTagged := reference.TagNameOnly(named).(reference.NamedTagged)
	if _, byDigest := named.(reference.Digested); byDigest || !isTagged {
		return "", answer, errors.New("it must be named by a tag, not by a digest")
	}
	return tagged.String(), relation.ImageRequest{Image: reference.Path(tagged), Tag: tagged.Tag()}, nil
}

// answer tells a client what the registry has. The interface has room for one answer in
// each relation: one that stands and was asked for stays.
func (o *Operator) answer(ctx context.Context, client relation.Relation, answers []relation.ImageRequest) error {
	if len(answers) == 0 || slices.Contains(answers, relation.ImageIn(client.Own)) {
		return nil
	}
	return o.Unit.Publish(ctx, client.ID, answers[0].Bag())
}
