package juju

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// peerEndpoint is the peer relation of metadata.yaml.
const peerEndpoint = "peer"

// Shared is a setting that the leader shares with all units, "" if there is none.
// It is in the application's databag of the peer relation. What is found only in
// leader settings, where the charm that this one replaces kept it and which end
// with Juju 3, or only in the leader's own state (see [Unit.SetShared]) is copied
// to the databag by the leader.
func (u *Unit) Shared(ctx context.Context, key string) (string, error) {
	peer, err := u.peer(ctx)
	if err != nil {
		return "", err
	}
	if peer != "" {
		value, err := ask(ctx, decode[string], "relation-get", "-r", peer, "--app", key, u.application())
		if err != nil || value != "" {
			return value, err
		}
	}
	value, err := ask(ctx, decode[string], "leader-get", key)
	if err != nil && !errors.Is(err, errNoTool) {
		return "", err
	}
	settings := value != ""
	if !settings {
		value, err = ask(ctx, decode[string], "state-get", key)
		if err != nil || value == "" {
			return "", err
		}
	}
	leader, err := u.Leader(ctx)
	switch {
	case err != nil:
		return "", err
	case leader && peer != "":
		return value, u.PublishApp(ctx, peer, map[string]string{key: value})
	case leader || settings:
		return value, nil
	}
	return "", nil
}

// SetShared shares a setting; only the leader may. In the install hook, before
// there is a peer relation, the unit's own state holds it until [Unit.Shared] finds
// that relation. Leader settings are not written: leader-set takes values as
// arguments only, which every user of the machine can read.
func (u *Unit) SetShared(ctx context.Context, key, value string) error {
	peer, err := u.peer(ctx)
	if err != nil {
		return err
	}
	if peer != "" {
		return u.PublishApp(ctx, peer, map[string]string{key: value})
	}
	return tellSettings(ctx, map[string]string{key: value}, "state-set")
}

// tellSettings hands settings over on standard input, where nobody can read them.
func tellSettings(ctx context.Context, settings map[string]string, name string, args ...string) error {
	content, err := encode(settings)
	if err != nil {
		return fmt.Errorf("cannot encode settings for %s: %w", name, err)
	}
	_, err = run(ctx, content, name, append(args, "--file", "-")...)
	return err
}

// peer is the ID of the peer relation, "" before it is there.
func (u *Unit) peer(ctx context.Context) (string, error) {
	ids, err := u.relationIDs(ctx, peerEndpoint)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

func (u *Unit) application() string {
	application, _, _ := strings.Cut(u.Name(), "/")
	return application
}
