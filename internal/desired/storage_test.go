package desired

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/relation"
)

// bucketed is a unit that is related to a provider of s3, which says more than keys.
func bucketed(more relation.Bag) Input {
	in := input()
	in.Facts.Model = "93e0e3f5-7c2c-4d23-8bd4-2f4d3c8ea2a0"
	in.Config.Storage.Related = &config.S3{V4Auth: true, StorageClass: "STANDARD", Encrypt: true}
	app := relation.Bag{"access-key": "AK", "secret-key": "hidden"}
	for key, value := range more {
		app[key] = value
	}
	in.Relations.Buckets = []relation.Relation{{ID: "s3-credentials:4", Application: "s3-integrator", App: app}}
	return in
}

func amazon() relation.Bag { return relation.Bag{"bucket": "images", "region": "eu-west-1"} }

func TestStorageIsFromARelation(t *testing.T) {
	authority, _ := pair(t, 2030)
	own, _ := pair(t, 2031)
	chain, err := json.Marshal([]string{string(authority)})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		told   relation.Bag
		change func(*Input)
		want   func(*config.S3)
		ca     []byte
		notes  []string
	}{
		{"Amazon", amazon(), func(*Input) {}, func(s *config.S3) { s.Region = "eu-west-1" }, nil, nil},
		{"Ceph", relation.Bag{"bucket": "images", "endpoint": "https://ceph", "path": "registry", "tls-ca-chain": string(chain)}, func(in *Input) {
			in.Config.Storage.CA = own
		}, func(s *config.S3) {
			s.Region, s.Endpoint, s.RootDirectory, s.ForcePathStyle = "us-east-1", "https://ceph", "registry", true
		}, []byte(string(own) + string(authority)), nil},
		{"keys in a secret", relation.Bag{"bucket": "images", "region": "eu-west-1", "access-key": "", "secret-key": "", "secret-extra": "secret:a"}, func(in *Input) {
			in.Facts.Secrets = map[string]map[string]config.Secret{"secret:a": {"access-key": config.NewSecret("AK"), "secret-key": config.NewSecret("hidden")}}
		}, func(s *config.S3) { s.Region = "eu-west-1" }, nil, nil},
		{"two providers", amazon(), func(in *Input) {
			in.Relations.Buckets = append(in.Relations.Buckets, relation.Relation{ID: "s3-credentials:5", Application: "ceph-radosgw"})
		}, func(s *config.S3) { s.Region = "eu-west-1" }, nil, []string{"Storage is from s3-integrator; ceph-radosgw is not used."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := bucketed(test.told)
			test.change(&in)
			want := config.S3{Bucket: "images", AccessKey: config.NewSecret("AK"), SecretKey: config.NewSecret("hidden"), V4Auth: true, StorageClass: "STANDARD", Encrypt: true}
			test.want(&want)
			got, notes, err := storageFor(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(config.Backend(want), got.Backend); diff != "" {
				t.Errorf("backend (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]any{test.ca, test.notes}, []any{got.CA, notes}); diff != "" {
				t.Errorf("authorities and notes (-want +got):\n%s", diff)
			}
			state := decide(t, in)
			if rendered := string(state.Files[len(state.Files)-1].Content); !strings.Contains(rendered, "bucket: images") || strings.Contains(rendered, "filesystem") {
				t.Errorf("config.yml is not of the relation:\n%s", rendered)
			}
		})
	}
}

func TestOptionsComeBeforeARelation(t *testing.T) {
	const want = "Ready at 10.0.0.5:5000 (http). Storage is from the options; s3-credentials is not used."
	for _, test := range []struct {
		name   string
		change func(*config.Storage, *config.Config)
	}{
		{"S3", func(s *config.Storage, _ *config.Config) {
			s.Backend, s.Related = config.S3{Bucket: "other", Region: "r", V4Auth: true}, nil
		}},
		{"Swift", func(s *config.Storage, _ *config.Config) {
			s.Backend, s.Related = config.Swift{Container: "other"}, nil
		}},
		{"a backend of registry-config", func(_ *config.Storage, c *config.Config) {
			c.Overlay = map[string]any{"storage": map[string]any{"gcs": map[string]any{"bucket": "other"}}}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := bucketed(amazon())
			test.change(&in.Config.Storage, &in.Config)
			state := decide(t, in)
			if state.Status.Message != want {
				t.Errorf("status\n%s, want\n%s", state.Status.Message, want)
			}
			if rendered := string(state.Files[0].Content); !strings.Contains(rendered, ": other") || strings.Contains(rendered, "images") {
				t.Errorf("config.yml is not of the options:\n%s", rendered)
			}
		})
	}
}

func TestStorageWaitsForARelation(t *testing.T) {
	elsewhere := func(more relation.Bag) relation.Bag {
		bag := relation.Bag{"bucket": "images", "endpoint": "https://ceph"}
		for key, value := range more {
			bag[key] = value
		}
		return bag
	}
	for _, test := range []struct {
		name string
		told relation.Bag
		want string
	}{
		{"nothing", relation.Bag{"access-key": "", "secret-key": ""}, "it has not told bucket, endpoint or region, access-key, secret-key"},
		{"a part", relation.Bag{"bucket": "images", "region": "r", "secret-key": ""}, "it has not told secret-key"},
		{"a secret that is not granted", relation.Bag{"bucket": "images", "region": "r", "access-key": "", "secret-key": "", "secret-extra": "secret:a"}, "it has not told access-key, secret-key"},
		{"no bucket's name", elsewhere(relation.Bag{"bucket": "s3://x"}), "its bucket is not a bucket's name"},
		{"no region's name", elsewhere(relation.Bag{"region": "a b"}), "its region is not a region's name"},
		{"no URL", elsewhere(relation.Bag{"endpoint": "s3://hidden:hidden@x"}), "its endpoint is no URL such as https://s3.example.com:9000"},
		{"no signatures of Amazon", relation.Bag{"bucket": "images", "region": "r", "s3-api-version": "2"}, "Amazon S3 takes no signatures of version 2"},
		{"no authority", elsewhere(relation.Bag{"tls-ca-chain": "hidden"}), "its tls-ca-chain must be PEM, starting with -----BEGIN CERTIFICATE-----"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := For(bucketed(test.told))
			var unplaced *NoStorage
			if !errors.As(err, &unplaced) {
				t.Fatalf("got error %v", err)
			}
			if want := "waiting for s3-integrator, which is to tell where images are kept: " + test.want; err.Error() != want {
				t.Errorf("got\n%s, want\n%s", err, want)
			}
		})
	}
}

func TestTheLeaderAsksForABucket(t *testing.T) {
	in := bucketed(nil)
	if bags := Requests(in); bags != nil {
		t.Errorf("a follower asks: %v", bags)
	}
	in.Facts.Leader = true
	want := []Databag{{Relation: "s3-credentials:4", Application: true, Settings: map[string]string{
		"bucket": "docker-registry-93e0e3f5", "requested-secrets": `["access-key","secret-key"]`,
	}}}
	if diff := cmp.Diff(want, Requests(in)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	in.Facts.Model, in.Facts.Unit = "", strings.Repeat("a", 70)+"/0"
	if got := len(Requests(in)[0].Settings["bucket"]); got != 54 {
		t.Errorf("a bucket's name of %d bytes", got)
	}
}
