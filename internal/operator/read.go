package operator

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/htpasswd"
)

// secretKey is the shared setting that holds http.secret, as in the charm that this
// one replaces: base64 of 32 random bytes.
const secretKey = "http-secret"

// read gathers all that a decision depends on. storage is the directory of images in
// Juju's storage, "" if they are in the unit's own.
func (o *Operator) read(ctx context.Context, conf config.Config, storage string) (desired.Input, error) {
	facts := desired.Facts{
		Layout:       o.Layout,
		Unit:         o.Unit.Name(),
		Model:        o.Unit.Model(),
		Now:          o.Now().Unix(),
		User:         o.User,
		Storage:      storage,
		Certificates: o.Host.Authorities(),
	}
	var err error
	if facts.Secret, err = o.secret(ctx); err != nil {
		return desired.Input{}, err
	}
	if facts.Addresses, err = o.Unit.Addresses(ctx, "website"); err != nil {
		return desired.Input{}, err
	}
	if facts.ForeignData, err = o.Host.ForeignData(facts.Data()); err != nil {
		return desired.Input{}, err
	}
	relations, err := o.relations(ctx, facts.ForeignData)
	if err != nil {
		return desired.Input{}, err
	}
	if err := o.readFor(ctx, relations, &facts); err != nil {
		return desired.Input{}, err
	}
	if facts.Files, err = o.certificateFiles(conf.TLS); err != nil {
		return desired.Input{}, err
	}
	if facts.Htpasswd, err = o.htpasswd(conf.Auth, facts.Secret, htpasswd.CostFor(conf.Container.Image)); err != nil {
		return desired.Input{}, err
	}
	if facts.Stopped, err = o.stopped(); err != nil {
		return desired.Input{}, err
	}
	if ref := conf.Container.Image; ref != "" && conf.Container.Runtime == config.Docker {
		if facts.Image, err = o.image(ctx, ref); err != nil {
			return desired.Input{}, err
		}
	}
	return desired.Input{Config: conf, Relations: relations, Facts: facts}, nil
}

// image is what registry-image is. One that cannot be had is as good as mistyped: only
// the operator knows which one he means and how the unit gets to it.
func (o *Operator) image(ctx context.Context, ref string) (desired.Image, error) {
	image, err := o.Docker.Image(ctx, ref, o.progress(ctx))
	if err == nil || errors.Is(err, desired.ErrNoEngine) || adviceOn(err) != "" {
		return image, err
	}
	return image, config.Problems{{
		Option: "registry-image",
		Text:   fmt.Sprintf("%v; choose an image that the unit's Docker Engine can pull, or reset the option for the built-in one", err),
	}}
}

// secret is http.secret, which signs the state of uploads: all units must have the
// same, so only the leader makes one, and only once.
func (o *Operator) secret(ctx context.Context) (config.Secret, error) {
	shared, err := o.Unit.Shared(ctx, secretKey)
	if err != nil || shared != "" {
		return config.NewSecret(shared), err
	}
	leader, err := o.Unit.Leader(ctx)
	if err != nil {
		return config.Secret{}, err
	}
	if !leader {
		return config.Secret{}, &waiting{"waiting for the leader to share " + secretKey}
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return config.Secret{}, fmt.Errorf("cannot make %s: %w", secretKey, err)
	}
	shared = base64.StdEncoding.EncodeToString(random)
	return config.NewSecret(shared), o.Unit.SetShared(ctx, secretKey, shared)
}

// certificateFiles are the operator's own files at the tls-*-path options. An empty
// option stands for no file, and a certificate is not looked for without its key.
func (o *Operator) certificateFiles(tls config.TLS) (map[string][]byte, error) {
	if tls.Blobs != nil || tls.CertPath == "" || tls.KeyPath == "" {
		return nil, nil
	}
	all := map[string][]byte{}
	for _, option := range []struct{ name, path string }{
		{"tls-cert-path", tls.CertPath},
		{"tls-key-path", tls.KeyPath},
		{"tls-ca-path", tls.CAPath},
	} {
		if option.path == "" {
			continue
		}
		read, err := o.Host.ReadFiles([]string{o.Layout.On(option.path)})
		if denied := (*fs.PathError)(nil); errors.As(err, &denied) {
			return nil, config.Problems{{
				Option: option.name,
				Text:   fmt.Sprintf("cannot read %s: %v; put a readable file there or choose another path", option.path, denied.Err),
			}}
		}
		if err != nil {
			return nil, err
		}
		for path, content := range read {
			all[path] = content
		}
	}
	return all, nil
}

// htpasswd is the password file of today as far as it still verifies. A record says
// what was found to do so.
func (o *Operator) htpasswd(auth config.Auth, key config.Secret, cost int) ([]byte, error) {
	const record = "htpasswd-verified"
	users, err := o.users(auth)
	if err != nil {
		return nil, err
	}
	if len(users) == 0 {
		return nil, o.Host.SetRecord(record, "")
	}
	var current htpasswd.File
	if current.Text, err = o.Host.Htpasswd(); err != nil {
		return nil, err
	}
	if current.Marks, err = o.Host.Record(record); err != nil {
		return nil, err
	}
	kept, err := htpasswd.Keep(current, users, cost, key)
	if err != nil {
		return nil, err
	}
	return kept.Text, o.Host.SetRecord(record, kept.Marks)
}
