package operator

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

const (
	oneURI   = "secret:cr2b8ke5v7qc7ahm2pl0"
	otherURI = "secret:cr2b8ke5v7qc7ahm2pl1"
)

func content(pairs ...string) map[string]config.Secret {
	values := map[string]config.Secret{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = config.NewSecret(pairs[i+1])
	}
	return values
}

// TestConvergeReadsSecrets takes options that name secrets through a life: granted,
// rotated, taken away.
func TestConvergeReadsSecrets(t *testing.T) {
	w := fresh(t)
	w.unit.options["storage-s3-bucket"], w.unit.options["storage-s3-region"] = "images", "eu-central-1"
	w.unit.options["storage-s3-accesskey"], w.unit.options["storage-s3-secretkey"] = oneURI, oneURI
	w.unit.options["auth-basic-password"] = otherURI
	unread := func(option, id string) string {
		return `option "` + option + `": names secret ` + id + `, which the unit cannot read (permission denied); type "juju grant-secret ` + id + ` docker-registry", or reset the option`
	}
	blocked := desired.Status{Level: desired.Blocked, Message: "Invalid charm config: " + unread("auth-basic-password", "cr2b8ke5v7qc7ahm2pl1") +
		"; " + unread("storage-s3-accesskey", "cr2b8ke5v7qc7ahm2pl0") + "; " + unread("storage-s3-secretkey", "cr2b8ke5v7qc7ahm2pl0")}
	if got := w.converge(t); got != blocked {
		t.Errorf("status\n %v\nwant\n %v", got, blocked)
	}
	w.unit.secrets = map[string]map[string]config.Secret{
		oneURI:   content("storage-s3-accesskey", "AK", "storage-s3-secretkey", "SK1"),
		otherURI: content("password", "hunter2"),
	}
	if got := w.converge(t); got.Level != desired.Active || !strings.Contains(w.file("config.yml"), "accesskey: AK\n    secretkey: SK1") {
		t.Errorf("status %v with\n%s", got, w.file("config.yml"))
	}
	if _, hash, _ := strings.Cut(strings.TrimSpace(w.file("htpasswd")), ":"); bcrypt.CompareHashAndPassword([]byte(hash), []byte("hunter2")) != nil {
		t.Errorf("password file %q", w.file("htpasswd"))
	}
	w.unit.did, w.machine.did, w.unit.read = nil, nil, nil
	w.converge(t)
	if did := append(w.unit.did, w.machine.did...); len(did) > 0 {
		t.Errorf("a second hook does %v", did)
	}
	if diff := cmp.Diff([]string{otherURI, oneURI}, w.unit.read); diff != "" {
		t.Errorf("secrets that a hook reads (-want +got):\n%s", diff)
	}
	w.unit.secrets[oneURI] = content("storage-s3-accesskey", "AK", "storage-s3-secretkey", "SK2")
	if w.converge(t); !strings.Contains(w.file("config.yml"), "secretkey: SK2") {
		t.Errorf("another revision is not taken into use:\n%s", w.file("config.yml"))
	}
	before, workloads := w.file("config.yml"), len(w.docker.workloads)
	w.unit.secrets = nil
	if got := w.converge(t); got != blocked || w.file("config.yml") != before || len(w.docker.workloads) != workloads {
		t.Errorf("status %v; what serves was touched: %t", got, w.file("config.yml") != before)
	}
	if name, err := w.Workload(t.Context()); name != "registry" || err != nil {
		t.Errorf("the registry is %q, %v, while a secret cannot be read", name, err)
	}
}

// TestConvergeWithoutSecrets is about a model of an older Juju.
func TestConvergeWithoutSecrets(t *testing.T) {
	w := fresh(t)
	w.unit.options["cache-password"], w.unit.unread = oneURI, config.ErrNoSecrets
	want := desired.Status{Level: desired.Blocked, Message: `Invalid charm config: option "cache-password": names a secret, and this unit can read none: options name secrets from Juju 3.3 on; set the value itself`}
	if got := w.converge(t); got != want {
		t.Errorf("status\n %v\nwant\n %v", got, want)
	}
}

// TestConvergeInterrupted holds that a hook which is told to end does not blame an option.
func TestConvergeInterrupted(t *testing.T) {
	w := fresh(t)
	w.unit.options["cache-password"], w.unit.unread = oneURI, context.Canceled
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Converge(ctx); err == nil {
		t.Errorf("no error, status %v", w.unit.status)
	}
}
