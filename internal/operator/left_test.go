package operator

import (
	"errors"
	"testing"

	"docker-registry-operator/internal/desired"
)

// toS3 has the unit keep its images in a bucket, "" for none.
func (w world) toS3(bucket string) {
	delete(w.unit.options, "storage-s3-bucket")
	delete(w.unit.options, "storage-s3-region")
	if bucket != "" {
		w.unit.options["storage-s3-bucket"], w.unit.options["storage-s3-region"] = bucket, "eu-central-1"
	}
}

func (w world) wantMessage(t *testing.T, want string) {
	t.Helper()
	if got := w.converge(t).Message; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
}

const ready = "Ready at 10.0.0.5:5000 (http)."

func TestSwitchTellsWhatStays(t *testing.T) {
	w := fresh(t)
	w.machine.repositories = map[string]int{"/srv/registry": 12}
	w.wantMessage(t, ready)

	w.toS3("images")
	w.wantMessage(t, ready+" 12 repositories stay in /srv/registry.")
	w.unit.did, w.machine.did = nil, nil
	w.wantMessage(t, ready+" 12 repositories stay in /srv/registry.")
	if len(w.unit.did)+len(w.machine.did) > 0 {
		t.Errorf("the second time: %v %v", w.unit.did, w.machine.did)
	}

	// Only the registry that still serves can count what is in a bucket.
	w.docker.repositories = 3
	w.toS3("others")
	w.wantMessage(t, ready+` 12 repositories stay in /srv/registry. 3 repositories stay in s3 bucket "images" at eu-central-1.`)

	w.docker.repositories = 0
	w.toS3("images")
	w.wantMessage(t, ready+" 12 repositories stay in /srv/registry.")
	w.machine.repositories = nil
	w.wantMessage(t, ready)
}

func TestSwitchBackTellsNothing(t *testing.T) {
	w := fresh(t)
	w.machine.repositories = map[string]int{"/srv/registry": 1}
	w.converge(t)
	w.toS3("images")
	w.wantMessage(t, ready+" 1 repository stays in /srv/registry.")
	w.toS3("")
	w.wantMessage(t, ready)
}

// TestSwitchInterrupted has the count outlive a hook that ends after the registry has
// already turned to its new storage.
func TestSwitchInterrupted(t *testing.T) {
	w := fresh(t)
	w.toS3("images")
	w.converge(t)
	w.docker.repositories = 7
	w.toS3("others")
	w.docker.fail = errors.New("killed")
	if err := w.Converge(t.Context()); err == nil {
		t.Fatal("no error")
	}
	w.docker.fail = nil
	w.docker.workloads = append(w.docker.workloads, desired.Workload{Config: "of the new storage"})
	w.wantMessage(t, ready+` 7 repositories stay in s3 bucket "images" at eu-central-1.`)
}

func TestSwitchWhereNobodyCanCount(t *testing.T) {
	w := fresh(t)
	w.toS3("images")
	w.converge(t)
	w.docker.workloads = nil
	w.toS3("")
	want := ready + ` Images may stay in s3 bucket "images" at eu-central-1.`
	w.wantMessage(t, want)
	w.wantMessage(t, want)
	if err := w.ForgetStorage(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantMessage(t, ready)
}

// TestSwitchRefused keeps quiet about a storage that is still served.
func TestSwitchRefused(t *testing.T) {
	w := fresh(t)
	w.machine.repositories = map[string]int{"/srv/registry": 2}
	w.converge(t)
	w.toS3("images")
	w.docker.fail = &desired.Refused{Reason: "no such bucket"}
	w.wantMessage(t, "registry refused its configuration: no such bucket")
	w.docker.fail = nil
	w.toS3("")
	w.wantMessage(t, ready)
}

// TestImagesOfAFormerUnit are told of from the beginning.
func TestImagesOfAFormerUnit(t *testing.T) {
	w := fresh(t)
	w.machine.repositories, w.machine.dirs = map[string]int{"/srv/registry": 2}, map[string]bool{"/srv/registry": true}
	w.toS3("images")
	w.wantMessage(t, ready+" 2 repositories stay in /srv/registry.")
}
