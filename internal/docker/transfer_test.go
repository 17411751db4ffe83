package docker

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// engineThat is an Engine that answers transfers so, and images as there are.
func engineThat(t *testing.T, transfer http.HandlerFunc, images map[string]string) *Engine {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := versionPrefix.ReplaceAllString(r.URL.Path, "")
		name, isImage := strings.CutSuffix(strings.TrimPrefix(path, "/images/"), "/json")
		switch {
		case path == "/_ping":
			w.Header().Set("API-Version", "1.41")
		case isImage && images[name] == "":
			reply(w, http.StatusNotFound, "No such image")
		case isImage:
			fmt.Fprint(w, images[name])
		default:
			transfer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	e, err := New(Options{Host: "tcp://" + server.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

const progress = `{"status":"Pulling from library/registry","id":"2"}
{"status":"Downloading","progressDetail":{"current":1,"total":9},"id":"abc"}
{"status":"Pull complete","progressDetail":{},"id":"abc"}
{"status":"Status: Downloaded newer image for registry:2"}
`

func TestPull(t *testing.T) {
	e := engineThat(t, func(w http.ResponseWriter, r *http.Request) {
		if got, want := r.URL.Query().Get("fromImage")+":"+r.URL.Query().Get("tag"), "docker.io/library/registry:2"; got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
		fmt.Fprint(w, progress)
	}, nil)
	var lines []string
	if err := e.Pull(t.Context(), "registry:2", func(line string) { lines = append(lines, line) }); err != nil {
		t.Fatal(err)
	}
	want := []string{"2: Pulling from library/registry", "abc: Pull complete", "Status: Downloaded newer image for registry:2"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestPushWithCredentials(t *testing.T) {
	var got *registry.AuthConfig
	e := engineThat(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ = registry.DecodeAuthConfig(r.Header.Get("X-Registry-Auth"))
		fmt.Fprint(w, `{"status":"v1: digest: sha256:ab size: 3"}`)
	}, nil)
	password := config.NewSecret("s3cret")
	if err := e.Push(t.Context(), "127.0.0.1:5000/a:v1", "admin", password, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&registry.AuthConfig{Username: "admin", Password: "s3cret"}, got); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
}

func TestTransferErrors(t *testing.T) {
	for _, test := range []struct{ name, answer, want string }{
		{"in the stream", `{"status":"Preparing"}` + "\n" + `{"errorDetail":{"message":"denied"},"error":"denied"}`, `cannot push "127.0.0.1:5000/a:v1": denied`},
		{"cut off", `{"status":"Prep`, `cannot push "127.0.0.1:5000/a:v1": cannot read the Engine's answer: unexpected EOF`},
		{"refused", "", `cannot push "127.0.0.1:5000/a:v1": Error response from daemon: no basic auth credentials`},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := engineThat(t, func(w http.ResponseWriter, _ *http.Request) {
				if test.answer == "" {
					reply(w, http.StatusInternalServerError, "no basic auth credentials")
					return
				}
				fmt.Fprint(w, test.answer)
			}, nil)
			err := e.Push(t.Context(), "127.0.0.1:5000/a:v1", "", config.Secret{}, nil)
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestImage(t *testing.T) {
	images := map[string]string{"here:3": `{"Id":"sha256:3","Config":{"Cmd":["/etc/distribution/config.yml"]}}`}
	pulls := 0
	e := engineThat(t, func(w http.ResponseWriter, r *http.Request) {
		pulls++
		if r.URL.Query().Get("tag") == "none" {
			reply(w, http.StatusNotFound, "manifest unknown")
			return
		}
		images["registry:2"] = `{"Id":"sha256:2","Config":{"Cmd":["/etc/docker/registry/config.yml"]}}`
		fmt.Fprint(w, progress)
	}, images)
	for name, want := range map[string]desired.Image{"here:3": {Stock: true, Major: 3}, "registry:2": {Stock: true, Major: 2}} {
		for range 2 {
			got, err := e.Image(t.Context(), name, nil)
			if err != nil || got != want {
				t.Errorf("%s is %v, error %v; want %v", name, got, err, want)
			}
		}
	}
	if pulls != 1 {
		t.Errorf("%d pulls, want 1", pulls)
	}
	_, err := e.Image(t.Context(), "registry:none", nil)
	want := `cannot pull "registry:none": Error response from daemon: manifest unknown`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := e.Tag(t.Context(), "gone:1", "a:1"); !errors.Is(err, ErrNoSuchImage) {
		t.Errorf("Tag: %v, want ErrNoSuchImage", err)
	}
}

func TestClassify(t *testing.T) {
	with := func(config ocispec.ImageConfig) image.InspectResponse {
		return image.InspectResponse{Config: &dockerspec.DockerOCIImageConfig{ImageConfig: config}}
	}
	for _, test := range []struct {
		name string
		in   image.InspectResponse
		want desired.Image
	}{
		{"registry:2", with(ocispec.ImageConfig{Entrypoint: []string{"/entrypoint.sh"}, Cmd: []string{"/etc/docker/registry/config.yml"}}), desired.Image{Stock: true, Major: 2}},
		{"registry:3", with(ocispec.ImageConfig{Entrypoint: []string{"/entrypoint.sh"}, Cmd: []string{"/etc/distribution/config.yml"}}), desired.Image{Stock: true, Major: 3}},
		{"distribution's own", with(ocispec.ImageConfig{Entrypoint: []string{"registry"}, Cmd: []string{"serve", "/etc/distribution/config.yml"}}), desired.Image{Stock: true, Major: 3}},
		{"ours", with(ocispec.ImageConfig{Entrypoint: []string{"/registry"}, Labels: map[string]string{labelContract: "1"}}), desired.Image{}},
		{"unknown", image.InspectResponse{}, desired.Image{Stock: true, Major: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := classify(test.in); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
