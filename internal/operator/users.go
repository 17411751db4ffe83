package operator

import (
	"crypto/rand"

	"docker-registry-operator/internal/config"
)

// actionsRecord holds the password of the user [config.Charm].
const actionsRecord = "actions-password"

// users are those of the registry's password file. Beside users and rules of its own it
// has one for the charm's actions, because none of the operator's need have the right to
// push everywhere.
func (o *Operator) users(auth config.Auth) ([]config.User, error) {
	if !auth.Own() {
		return auth.All(), o.Host.SetRecord(actionsRecord, "")
	}
	password, err := o.Host.Record(actionsRecord)
	if err != nil {
		return nil, err
	}
	if password == "" {
		password = rand.Text()
		if err := o.Host.SetRecord(actionsRecord, password); err != nil {
			return nil, err
		}
	}
	return append(auth.All(), config.User{Name: config.Charm, Password: config.NewSecret(password)}), nil
}

// credentials are those of the charm's own actions, empty where the registry asks for
// none.
func (o *Operator) credentials(auth config.Auth) (user string, password config.Secret, err error) {
	switch {
	case auth.Own():
		kept, err := o.Host.Record(actionsRecord)
		return config.Charm, config.NewSecret(kept), err
	case auth.Basic != nil:
		return auth.Basic.User, auth.Basic.Password, nil
	}
	return "", config.Secret{}, nil
}
