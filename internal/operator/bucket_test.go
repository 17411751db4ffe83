package operator

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/relation"
)

// TestConvergeUsesARelatedBucket follows a relation of version 1 from its beginning to
// its end.
func TestConvergeUsesARelatedBucket(t *testing.T) {
	const uri = "secret:cr2b8ke5v7qc7ahm2pl0"
	w := fresh(t)
	rendered := func() string { return string(w.machine.files["/etc/docker/registry/config.yml"]) }
	w.converge(t)
	w.unit.relations = map[string][]relation.Relation{buckets: {{ID: "s3-credentials:4", Application: "s3-integrator"}}}
	before := rendered()
	waiting := desired.Status{Level: desired.Waiting, Message: "waiting for s3-integrator, which is to tell where images are kept: it has not told bucket, endpoint or region, access-key, secret-key"}
	if got := w.converge(t); got != waiting || rendered() != before || len(w.docker.workloads) != 1 {
		t.Errorf("status %v; what serves was touched: %t", got, rendered() != before)
	}
	asked := relation.Bag{"bucket": "docker-registry-93e0e3f5", "requested-secrets": `["access-key","secret-key"]`}
	if diff := cmp.Diff(asked, w.unit.relations[buckets][0].OwnApp); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}

	w.unit.relations[buckets][0].App = relation.Bag{"bucket": "images", "endpoint": "https://ceph", "secret-extra": uri}
	if got := w.converge(t); !strings.HasSuffix(got.Message, "it has not told access-key, secret-key") {
		t.Errorf("status %v before the secret is granted", got)
	}
	w.unit.secrets = map[string]map[string]config.Secret{uri: {"access-key": config.NewSecret("AK"), "secret-key": config.NewSecret("SK1")}}
	if got := w.converge(t); got.Level != desired.Active || !strings.Contains(rendered(), "secretkey: SK1") {
		t.Errorf("status %v with\n%s", got, rendered())
	}
	w.unit.did, w.machine.did = nil, nil
	w.converge(t)
	if did := append(w.unit.did, w.machine.did...); len(did) > 0 {
		t.Errorf("a second hook does %v", did)
	}
	w.unit.secrets[uri]["secret-key"] = config.NewSecret("SK2")
	if w.converge(t); !strings.Contains(rendered(), "secretkey: SK2") {
		t.Errorf("another key is not taken over:\n%s", rendered())
	}

	w.unit.relations = nil
	if got := w.converge(t); got.Level != desired.Active || rendered() != before {
		t.Errorf("status %v after the end, with\n%s", got, rendered())
	}
}

// TestConvergeLeavesARequestToTheLeader is about the databag of the application, which
// others can neither write nor read.
func TestConvergeLeavesARequestToTheLeader(t *testing.T) {
	w := fresh(t)
	w.converge(t)
	w.unit.leader = false
	w.unit.relations = map[string][]relation.Relation{buckets: {{ID: "s3-credentials:4", Application: "s3-integrator"}}}
	w.converge(t)
	if told := w.unit.relations[buckets][0].OwnApp; told != nil {
		t.Errorf("a follower tells %v", told)
	}
}
