package docker

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/stdcopy"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// fakeEngine behaves like a Docker Engine in what this package asks of one, with
// plain processes for containers.
type fakeEngine struct {
	mu         sync.Mutex
	dir        string
	containers []*fakeContainer // newest first
	images     map[string]*fakeImage
}

type fakeContainer struct {
	id, name string
	config   container.Config
	host     container.HostConfig
	state    container.ContainerState
	restarts int
	command  *exec.Cmd
	ended    chan struct{}
	manual   bool // stopped by hand
	log      bytes.Buffer
}

type fakeImage struct {
	id, binary string
	config     dockerspec.DockerOCIImageConfig
}

// newFakeEngine serves a fake Engine, and returns its address.
func newFakeEngine(t *testing.T, dir string) string {
	t.Helper()
	f := &fakeEngine{dir: dir, images: map[string]*fakeImage{}}
	listener, err := net.Listen("unix", filepath.Join(dir, "fake.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: f.routes()}}
	server.Start()
	t.Cleanup(func() {
		server.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.containers {
			f.end(c, syscall.SIGKILL)
		}
	})
	return "unix://" + listener.Addr().String()
}

var versionPrefix = regexp.MustCompile(`^/v1\.[0-9]+`)

func (f *fakeEngine) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("API-Version", "1.41") })
	mux.HandleFunc("GET /containers/json", f.list)
	mux.HandleFunc("POST /containers/create", f.create)
	mux.HandleFunc("GET /images/json", f.listImages)
	mux.HandleFunc("POST /images/load", f.load)
	mux.HandleFunc("GET /images/{name}/json", f.inspectImage)
	mux.HandleFunc("POST /images/{name}/tag", f.tagImage)
	mux.HandleFunc("DELETE /images/{name}", f.removeImage)
	for pattern, act := range map[string]func(*fakeContainer, *http.Request) (any, int){
		"GET /containers/{id}/json":     f.inspect,
		"POST /containers/{id}/start":   f.startIt,
		"POST /containers/{id}/stop":    f.signal(syscall.SIGTERM),
		"POST /containers/{id}/kill":    f.signal(syscall.SIGKILL),
		"POST /containers/{id}/restart": f.restart,
		"POST /containers/{id}/pause":   f.freeze(syscall.SIGSTOP, container.StatePaused),
		"POST /containers/{id}/unpause": f.freeze(syscall.SIGCONT, container.StateRunning),
		"POST /containers/{id}/rename":  f.rename,
		"POST /containers/{id}/update":  f.update,
		"GET /containers/{id}/logs":     f.logs,
		"DELETE /containers/{id}":       f.remove,
	} {
		mux.HandleFunc(pattern, f.on(act))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = versionPrefix.ReplaceAllString(r.URL.Path, "")
		mux.ServeHTTP(w, r)
	})
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if text, isText := body.(string); isText {
		body = map[string]string{"message": text}
	}
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

// on finds the container that a request is about.
func (f *fakeEngine) on(act func(*fakeContainer, *http.Request) (any, int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		c := f.find(r.PathValue("id"))
		if c == nil {
			reply(w, http.StatusNotFound, "No such container: "+r.PathValue("id"))
			return
		}
		body, code := act(c, r)
		if log, isLog := body.([]byte); isLog {
			_, _ = w.Write(log)
			return
		}
		reply(w, code, body)
	}
}

func (f *fakeEngine) find(key string) *fakeContainer {
	i := slices.IndexFunc(f.containers, func(c *fakeContainer) bool { return c.id == key || c.name == key })
	if i < 0 {
		return nil
	}
	return f.containers[i]
}

func (f *fakeEngine) list(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	args, err := filters.FromJSON(r.URL.Query().Get("filters"))
	if err != nil {
		reply(w, http.StatusBadRequest, err.Error())
		return
	}
	found := []container.Summary{}
	for _, c := range f.containers {
		mounts := c.mounts()
		mounted := slices.ContainsFunc(mounts, func(m container.MountPoint) bool { return args.ExactMatch("volume", m.Source) })
		if args.MatchKVList("label", c.config.Labels) && (mounted || !args.Contains("volume")) {
			found = append(found, container.Summary{
				ID: c.id, Names: []string{"/" + c.name}, Labels: c.config.Labels, State: c.state, Mounts: mounts,
			})
		}
	}
	reply(w, http.StatusOK, found)
}

func (f *fakeEngine) create(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &fakeContainer{id: strings.ToLower(rand.Text() + rand.Text()), name: r.URL.Query().Get("name"), state: container.StateCreated}
	request := struct {
		*container.Config
		HostConfig *container.HostConfig
	}{&c.config, &c.host}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		reply(w, http.StatusBadRequest, err.Error())
		return
	}
	if f.image(c.config.Image) == nil {
		reply(w, http.StatusNotFound, "No such image: "+c.config.Image)
		return
	}
	if f.find(c.name) != nil {
		reply(w, http.StatusConflict, "Conflict. The container name is already in use")
		return
	}
	for _, m := range c.host.Mounts {
		if _, err := os.Stat(m.Source); err != nil {
			reply(w, http.StatusBadRequest, "bind source path does not exist: "+m.Source)
			return
		}
	}
	f.containers = slices.Insert(f.containers, 0, c)
	reply(w, http.StatusCreated, container.CreateResponse{ID: c.id})
}

func (c *fakeContainer) mounts() []container.MountPoint {
	mounts := []container.MountPoint{}
	for _, m := range c.host.Mounts {
		mounts = append(mounts, container.MountPoint{Type: m.Type, Source: m.Source, Destination: m.Target})
	}
	return mounts
}

func (f *fakeEngine) inspect(c *fakeContainer, _ *http.Request) (any, int) {
	up := c.state == container.StateRunning || c.state == container.StatePaused
	state := &container.State{Status: c.state, Running: up || c.state == container.StateRestarting, Restarting: c.state == container.StateRestarting}
	if up {
		state.Pid = c.command.Process.Pid
	}
	return container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{
			ID: c.id, Name: "/" + c.name, State: state, HostConfig: &c.host, RestartCount: c.restarts,
		},
		Config: &c.config, Mounts: c.mounts(),
	}, http.StatusOK
}

func (f *fakeEngine) startIt(c *fakeContainer, _ *http.Request) (any, int) {
	if c.state == container.StateRunning {
		return nil, http.StatusNotModified
	}
	c.manual = false
	if err := f.run(c); err != nil {
		return err.Error(), http.StatusInternalServerError
	}
	return nil, http.StatusNoContent
}

// run starts a container's process, and applies the restart policy when it ends.
func (f *fakeEngine) run(c *fakeContainer) error {
	command := exec.Command(f.image(c.config.Image).binary, c.config.Cmd...)
	command.Env = c.config.Env
	errs := stdcopy.NewStdWriter(&c.log, stdcopy.Stderr)
	command.Stderr = errs
	if err := command.Start(); err != nil {
		return err
	}
	c.command, c.ended, c.state = command, make(chan struct{}), container.StateRunning
	go func(ended chan struct{}) {
		_ = command.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		c.state = container.StateExited
		close(ended)
		if !c.manual && c.host.RestartPolicy.Name == container.RestartPolicyUnlessStopped {
			c.state = container.StateRestarting
			time.AfterFunc(100*time.Millisecond, func() { f.again(c) })
		}
	}(c.ended)
	return nil
}

func (f *fakeEngine) again(c *fakeContainer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.state == container.StateRestarting {
		c.restarts++
		_ = f.run(c)
	}
}

// end ends a container's process and waits for that.
func (f *fakeEngine) end(c *fakeContainer, signal syscall.Signal) {
	c.manual = true
	if c.state == container.StateRestarting {
		c.state = container.StateExited
	}
	if c.state != container.StateRunning && c.state != container.StatePaused {
		return
	}
	_ = c.command.Process.Signal(syscall.SIGCONT)
	_ = c.command.Process.Signal(signal)
	f.mu.Unlock()
	<-c.ended
	f.mu.Lock()
}

func (f *fakeEngine) signal(signal syscall.Signal) func(*fakeContainer, *http.Request) (any, int) {
	return func(c *fakeContainer, _ *http.Request) (any, int) {
		f.end(c, signal)
		return nil, http.StatusNoContent
	}
}

func (f *fakeEngine) restart(c *fakeContainer, r *http.Request) (any, int) {
	f.end(c, syscall.SIGTERM)
	c.restarts = 0
	return f.startIt(c, r)
}

func (f *fakeEngine) freeze(signal syscall.Signal, state container.ContainerState) func(*fakeContainer, *http.Request) (any, int) {
	return func(c *fakeContainer, _ *http.Request) (any, int) {
		_ = c.command.Process.Signal(signal)
		c.state = state
		return nil, http.StatusNoContent
	}
}

func (f *fakeEngine) rename(c *fakeContainer, r *http.Request) (any, int) {
	name := r.URL.Query().Get("name")
	if f.find(name) != nil {
		return "Conflict. The container name is already in use", http.StatusConflict
	}
	c.name = name
	return nil, http.StatusNoContent
}

func (f *fakeEngine) update(c *fakeContainer, r *http.Request) (any, int) {
	var request container.UpdateConfig
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return err.Error(), http.StatusBadRequest
	}
	c.host.RestartPolicy = request.RestartPolicy
	return container.UpdateResponse{}, http.StatusOK
}

func (f *fakeEngine) logs(c *fakeContainer, _ *http.Request) (any, int) {
	return slices.Clone(c.log.Bytes()), http.StatusOK
}

func (f *fakeEngine) remove(c *fakeContainer, _ *http.Request) (any, int) {
	f.end(c, syscall.SIGKILL)
	f.containers = slices.DeleteFunc(f.containers, func(other *fakeContainer) bool { return other == c })
	return nil, http.StatusNoContent
}

func (f *fakeEngine) image(key string) *fakeImage {
	if found := f.images[key]; found != nil {
		return found
	}
	for _, candidate := range f.images {
		if candidate.id == key {
			return candidate
		}
	}
	return nil
}

func (f *fakeEngine) inspectImage(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.image(r.PathValue("name"))
	if found == nil {
		reply(w, http.StatusNotFound, "No such image")
		return
	}
	reply(w, http.StatusOK, image.InspectResponse{ID: found.id, Config: &found.config})
}

func (f *fakeEngine) listImages(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := []image.Summary{}
	for tag, candidate := range f.images {
		found = append(found, image.Summary{ID: candidate.id, RepoTags: []string{tag}})
	}
	reply(w, http.StatusOK, found)
}

func (f *fakeEngine) tagImage(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	repository := strings.TrimPrefix(r.URL.Query().Get("repo"), "docker.io/library/")
	f.images[repository+":"+r.URL.Query().Get("tag")] = f.image(r.PathValue("name"))
	w.WriteHeader(http.StatusCreated)
}

func (f *fakeEngine) removeImage(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	tag := r.PathValue("name")
	if slices.ContainsFunc(f.containers, func(c *fakeContainer) bool { return c.config.Image == tag }) {
		reply(w, http.StatusConflict, "conflict: a container uses the image")
		return
	}
	delete(f.images, tag)
	reply(w, http.StatusOK, []image.DeleteResponse{})
}

// load takes an image apart as the Engine does: manifest.json names the configuration
// and the layers.
func (f *fakeEngine) load(w http.ResponseWriter, r *http.Request) {
	entries, err := untar(r.Body)
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err == nil {
		err = json.Unmarshal(entries["manifest.json"], &manifest)
	}
	if err != nil || len(manifest) != 1 || len(manifest[0].Layers) != 1 {
		reply(w, http.StatusBadRequest, fmt.Sprintf("not an image: %v", err))
		return
	}
	var config dockerspec.DockerOCIImage
	layer := entries[manifest[0].Layers[0]]
	files, err := untar(bytes.NewReader(layer))
	if err == nil {
		err = json.Unmarshal(entries[manifest[0].Config], &config)
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(layer)); err != nil || config.RootFS.DiffIDs[0].String() != want {
		reply(w, http.StatusBadRequest, fmt.Sprintf("layer does not match the configuration: %v", err))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	binary := filepath.Join(f.dir, rand.Text())
	if err := os.WriteFile(binary, files["registry"], 0o755); err != nil {
		reply(w, http.StatusInternalServerError, err.Error())
		return
	}
	loaded := &fakeImage{id: fmt.Sprintf("sha256:%x", sha256.Sum256(entries[manifest[0].Config])), binary: binary, config: config.Config}
	for _, tag := range manifest[0].RepoTags {
		f.images[tag] = loaded
	}
	reply(w, http.StatusOK, map[string]string{"stream": "Loaded image"})
}

func untar(r io.Reader) (map[string][]byte, error) {
	entries := map[string][]byte{}
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		if entries[header.Name], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}
