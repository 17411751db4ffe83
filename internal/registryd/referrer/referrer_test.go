package referrer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/distribution/reference"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"docker-registry-operator/internal/registryd/layout"
	"docker-registry-operator/internal/registryd/referrer"
)

const repository = "team/app"

// stock is a repository as distribution alone keeps it.
type stock struct {
	t *testing.T
	distribution.Repository
	manifests distribution.ManifestService
}

func newStock(t *testing.T, driver storagedriver.StorageDriver) *stock {
	t.Helper()
	namespace, err := storage.NewRegistry(t.Context(), driver, storage.EnableDelete)
	if err != nil {
		t.Fatal(err)
	}
	name, err := reference.WithName(repository)
	if err != nil {
		t.Fatal(err)
	}
	s := &stock{t: t}
	if s.Repository, err = namespace.Repository(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if s.manifests, err = s.Manifests(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// push stores a manifest and returns its descriptor in a list of referrers.
func (s *stock) push(manifest map[string]any, tags ...string) v1.Descriptor {
	s.t.Helper()
	text, err := json.Marshal(manifest)
	if err != nil {
		s.t.Fatal(err)
	}
	mediaType := manifest["mediaType"].(string)
	parsed, pushed, err := distribution.UnmarshalManifest(mediaType, text)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.manifests.Put(s.t.Context(), parsed); err != nil {
		s.t.Fatal(err)
	}
	for _, tag := range tags {
		if err := s.Tags(s.t.Context()).Tag(s.t.Context(), tag, pushed); err != nil {
			s.t.Fatal(err)
		}
	}
	artifactType, _ := manifest["artifactType"].(string)
	annotations, _ := manifest["annotations"].(map[string]string)
	return v1.Descriptor{
		MediaType: mediaType, Digest: pushed.Digest, Size: int64(len(text)),
		ArtifactType: artifactType, Annotations: annotations,
	}
}

// index is a manifest that needs nothing else to be there.
func index(subject digest.Digest, artifactType, mark string) map[string]any {
	manifest := map[string]any{
		"schemaVersion": 2, "mediaType": v1.MediaTypeImageIndex, "manifests": []v1.Descriptor{},
		"annotations": map[string]string{"mark": mark},
	}
	if subject != "" {
		manifest["subject"] = v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: subject, Size: 2}
	}
	if artifactType != "" {
		manifest["artifactType"] = artifactType
	}
	return manifest
}

func sorted(descriptors ...v1.Descriptor) []v1.Descriptor {
	slices.SortFunc(descriptors, func(a, b v1.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return descriptors
}

func of(t *testing.T, x *referrer.Index, subject digest.Digest) []v1.Descriptor {
	t.Helper()
	found, err := x.Of(t.Context(), repository, subject)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestOf asks for referrers that distribution alone has stored and deleted.
func TestOf(t *testing.T) {
	driver := inmemory.New()
	x := referrer.New(driver)
	subject := digest.FromString("subject")
	if found := of(t, x, subject); found != nil {
		t.Fatalf("of a repository that is not there: %v", found)
	}
	s := newStock(t, driver)
	config, err := s.Blobs(t.Context()).Put(t.Context(), "", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	config.MediaType = "application/vnd.example.config"
	s.push(index("", "application/vnd.example.sbom", "no subject"))
	s.push(index(digest.FromString("other"), "application/vnd.example.sbom", "other subject"))
	sbom := s.push(index(subject, "application/vnd.example.sbom", "sbom"))
	signature := s.push(map[string]any{
		"schemaVersion": 2, "mediaType": v1.MediaTypeImageManifest, "config": config, "layers": []v1.Descriptor{},
		"subject": v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: subject, Size: 2},
	})
	signature.ArtifactType = config.MediaType
	if diff := cmp.Diff(sorted(sbom, signature), of(t, x, subject)); diff != "" {
		t.Errorf("referrers (-want +got):\n%s", diff)
	}
	if err := s.manifests.Delete(t.Context(), sbom.Digest); err != nil {
		t.Fatal(err)
	}
	for _, x := range []*referrer.Index{x, referrer.New(driver)} {
		if diff := cmp.Diff([]v1.Descriptor{signature}, of(t, x, subject)); diff != "" {
			t.Errorf("after a deletion (-want +got):\n%s", diff)
		}
	}
	if again := s.push(index(subject, "application/vnd.example.sbom", "sbom")); again.Digest != sbom.Digest {
		t.Fatal("another manifest")
	}
	if diff := cmp.Diff(sorted(sbom, signature), of(t, x, subject)); diff != "" {
		t.Errorf("pushed again (-want +got):\n%s", diff)
	}
}

// listed is what the index at the fallback tag lists, by digest.
func (s *stock) listed(subject digest.Digest) []digest.Digest {
	s.t.Helper()
	tagged, err := s.Tags(s.t.Context()).Get(s.t.Context(), referrer.FallbackTag(subject))
	if err != nil {
		s.t.Fatal(err)
	}
	manifest, err := s.manifests.Get(s.t.Context(), tagged.Digest)
	if err != nil {
		s.t.Fatal(err)
	}
	var digests []digest.Digest
	for _, d := range manifest.References() {
		digests = append(digests, d.Digest)
	}
	slices.Sort(digests)
	return digests
}

// TestUpdateBySeveral has several registries on one storage push referrers of one subject at a time, and
// delete some: the list of each and the index that an old client reads end up the same.
func TestUpdateBySeveral(t *testing.T) {
	driver := inmemory.New()
	subject := digest.FromString("subject")
	first := newStock(t, driver)
	kept := first.push(index("", "", "listed by a client"))
	fallback := index("", "", "fallback")
	fallback["manifests"] = []v1.Descriptor{kept, {MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("gone"), Size: 4}}
	first.push(fallback, referrer.FallbackTag(subject))

	var wg sync.WaitGroup
	want := []digest.Digest{kept.Digest}
	var mu sync.Mutex
	for writer := range 4 {
		wg.Go(func() {
			x, s := referrer.New(driver), newStock(t, driver)
			for i := range 5 {
				pushed := s.push(index(subject, "", fmt.Sprint(writer, i)))
				if i == 2 {
					if err := s.manifests.Delete(t.Context(), pushed.Digest); err != nil {
						t.Error(err)
					}
				} else {
					mu.Lock()
					want = append(want, pushed.Digest)
					mu.Unlock()
				}
				if err := x.Update(t.Context(), repository, subject); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(want)
	if diff := cmp.Diff(want, first.listed(subject)); diff != "" {
		t.Errorf("index at the fallback tag (-want +got):\n%s", diff)
	}
	found := of(t, referrer.New(driver), subject)
	if len(found) != len(want)-1 {
		t.Errorf("%d referrers are listed, want %d", len(found), len(want)-1)
	}
}

// breaking is a storage that keeps nothing after some writes.
type breaking struct {
	storagedriver.StorageDriver
	left int
}

var errBroken = errors.New("broken off")

func (d *breaking) PutContent(ctx context.Context, path string, content []byte) error {
	if d.left--; d.left < 0 {
		return errBroken
	}
	return d.StorageDriver.PutContent(ctx, path, content)
}

// TestUpdateBrokenOff breaks an update off after each of its writes: an old client finds a whole index
// meanwhile, and the next update makes up for it.
func TestUpdateBrokenOff(t *testing.T) {
	subject := digest.FromString("subject")
	for writes := range 5 {
		t.Run(fmt.Sprint(writes), func(t *testing.T) {
			driver := inmemory.New()
			s := newStock(t, driver)
			old := s.push(index(subject, "", "old"))
			fallback := index("", "", "fallback")
			fallback["manifests"] = []v1.Descriptor{old}
			s.push(fallback, referrer.FallbackTag(subject))
			fresh := s.push(index(subject, "", "new"))

			err := referrer.New(&breaking{driver, writes}).Update(t.Context(), repository, subject)
			if (err != nil) != (writes < 4) || err != nil && !errors.Is(err, errBroken) {
				t.Errorf("after %d writes: %v", writes, err)
			}
			if got := s.listed(subject); !slices.Contains(got, old.Digest) {
				t.Errorf("meanwhile the index lists %v", got)
			}
			if got := of(t, referrer.New(driver), subject); len(got) != 2 {
				t.Errorf("meanwhile the list has %v", got)
			}
			if err := referrer.New(driver).Update(t.Context(), repository, subject); err != nil {
				t.Fatal(err)
			}
			want := []digest.Digest{old.Digest, fresh.Digest}
			slices.Sort(want)
			if diff := cmp.Diff(want, s.listed(subject)); diff != "" {
				t.Errorf("in the end (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUpdateWithoutFallback leaves repositories alone where nobody has used the tag, or uses it for an
// image, be it the subject itself, to which cosign gives that tag.
func TestUpdateWithoutFallback(t *testing.T) {
	driver := inmemory.New()
	s := newStock(t, driver)
	subject := digest.FromString("subject")
	s.push(index(subject, "", "one"))
	x := referrer.New(&breaking{driver, 0})
	if err := x.Update(t.Context(), repository, subject); err != nil {
		t.Error(err)
	}
	config, err := s.Blobs(t.Context()).Put(t.Context(), "", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	s.push(map[string]any{
		"schemaVersion": 2, "mediaType": v1.MediaTypeImageManifest, "config": config, "layers": []v1.Descriptor{},
	}, referrer.FallbackTag(subject))
	if err := x.Update(t.Context(), repository, subject); err != nil {
		t.Error(err)
	}
	platforms := index("", "", "image of several platforms")
	image := s.push(platforms)
	s.push(platforms, referrer.FallbackTag(image.Digest))
	s.push(index(image.Digest, "", "signature"))
	if err := x.Update(t.Context(), repository, image.Digest); err != nil {
		t.Error(err)
	}
}

func TestFallbackTag(t *testing.T) {
	long := digest.SHA512.FromString("x")
	for subject, want := range map[digest.Digest]string{
		"sha256:abc": "sha256-abc",
		long:         "sha512-" + long.Encoded()[:64],
	} {
		if got := referrer.FallbackTag(subject); got != want {
			t.Errorf("%s: got %s, want %s", subject, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"mediaType":"application/vnd.oci.image.manifest.v1+json","subject":{"digest":"sha256:` + digest.FromString("x").Encoded() + `"},"annotations":{"a":"b"}}`))
	f.Add([]byte(`{"subject":{"digest":"sha256:1"}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, content []byte) {
		subject, descriptor := referrer.Parse(content)
		if subject != "" && (subject.Validate() != nil || descriptor.Digest != digest.FromBytes(content)) {
			t.Errorf("subject %q, descriptor %v", subject, descriptor)
		}
	})
}

// TestReadsOnce counts what a second list costs.
func TestReadsOnce(t *testing.T) {
	driver := &counting{StorageDriver: inmemory.New(), reads: make(map[string]int)}
	s := newStock(t, driver)
	subject := digest.FromString("subject")
	for i := range 10 {
		s.push(index("", "", fmt.Sprint("no subject ", i)))
	}
	one := s.push(index(subject, "", "one"))
	x := referrer.New(driver)
	of(t, x, subject)
	clear(driver.reads)
	of(t, x, subject)
	want := map[string]int{layout.Revision(repository, one.Digest): 1}
	if diff := cmp.Diff(want, driver.reads); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
}

type counting struct {
	storagedriver.StorageDriver
	mu    sync.Mutex
	reads map[string]int
}

func (d *counting) GetContent(ctx context.Context, path string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads[path]++
	return d.StorageDriver.GetContent(ctx, path)
}
