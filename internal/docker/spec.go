package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"golang.org/x/sys/unix"

	"docker-registry-operator/internal/desired"
)

// The labels of a registry's container. A container is known by them, never by its
// name: names are the operator's to choose and to change.
const (
	labelUnit = "docker-registry.unit"
	// labelRoot is the root of the layout: two units of one name may share an Engine
	// when one of them lives outside Juju.
	labelRoot = "docker-registry.root"
	// labelSpec is a digest of all that only a new container can change.
	labelSpec   = "docker-registry.spec"
	labelImage  = "docker-registry.image"
	labelConfig = "docker-registry.config"
	// labelSocket is the path of the admin socket; absent if there is none.
	labelSocket = "docker-registry.socket"
)

// stopTimeout is how many seconds a registry that is stopped may spend on the
// requests it has. The Engine waits as long for it when it stops itself.
const stopTimeout = 60

// spec is a workload as a container: what the Engine is asked to create, but for the
// name, the labels and the admin socket.
type spec struct {
	workload desired.Workload
	root     string
	// image is a tag that names its content, or an image's ID.
	image string
}

// stock says that the registry has no admin socket.
func (s spec) stock() bool { return s.workload.Sockets == "" }

// anySocket stands for the admin socket, which each container has of its own.
const anySocket = "*"

// digest changes with everything that only a new container can change. For a stock
// image that includes the configuration.
func (s spec) digest() (string, error) {
	config := ""
	if s.stock() {
		config = s.workload.Config
	}
	sources, err := s.sources()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal([]any{s.config(anySocket), s.host(), config, s.workload.EnvironmentDigest, sources})
	if err != nil {
		return "", fmt.Errorf("cannot describe container: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6]), nil
}

// sources are the directories behind the mounts, by device and number. A container
// keeps the one it was started with: if it was removed and made anew, or a disk was
// mounted there, what the container writes is seen by nobody.
func (s spec) sources() ([][2]uint64, error) {
	var sources [][2]uint64
	for _, m := range s.workload.Mounts {
		var stat unix.Stat_t
		if err := unix.Stat(m.Path, &stat); err != nil {
			return nil, fmt.Errorf("cannot mount %q: %w", m.Path, err)
		}
		sources = append(sources, [2]uint64{stat.Dev, stat.Ino})
	}
	return sources, nil
}

// labels are those of a new container.
func (s spec) labels(digest, socket string) map[string]string {
	labels := map[string]string{
		labelUnit:  s.workload.Unit,
		labelRoot:  s.root,
		labelSpec:  digest,
		labelImage: s.image,
	}
	if s.stock() {
		labels[labelConfig] = s.workload.Config
	} else {
		labels[labelSocket] = socket
	}
	return labels
}

// config is the container's configuration with its admin socket at that path.
func (s spec) config(socket string) *container.Config {
	timeout := stopTimeout
	return &container.Config{
		Image:       s.image,
		Cmd:         s.workload.Args(socket),
		Env:         s.workload.Env,
		User:        s.user(),
		StopSignal:  "SIGTERM",
		StopTimeout: &timeout,
	}
}

// user is whom the container starts as. The Engine gives capabilities to root only,
// so a registry that needs some becomes its own user by itself.
func (s spec) user() string {
	if len(s.workload.Capabilities) > 0 {
		return "0:0"
	}
	return identity(s.workload.User)
}

func identity(user desired.Identity) string {
	return fmt.Sprintf("%d:%d", user.UID, user.GID)
}

func (s spec) host() *container.HostConfig {
	// Without processes of its own to reap, a registry needs no init; and more threads
	// than this it has only by mistake.
	init, pids := false, int64(8192)
	return &container.HostConfig{
		NetworkMode: "host",
		// The Engine may map container users to others of the host by default, which
		// would take the registry's files from it and rules out host networking.
		UsernsMode:     "host",
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		ReadonlyRootfs: true,
		CapDrop:        []string{"ALL"},
		CapAdd:         s.capabilities(),
		SecurityOpt:    []string{"no-new-privileges"},
		Tmpfs:          map[string]string{"/tmp": "rw,noexec,nosuid,nodev,size=64m"},
		Mounts:         s.mounts(),
		Init:           &init,
		Resources:      container.Resources{PidsLimit: &pids},
		LogConfig: container.LogConfig{
			Type:   "json-file",
			Config: map[string]string{"max-size": "10m", "max-file": "5"},
		},
	}
}

func (s spec) capabilities() []string {
	if len(s.workload.Capabilities) == 0 {
		return nil
	}
	added := slices.Clone(s.workload.Capabilities)
	if !s.stock() {
		added = append(added, "SETUID", "SETGID")
	}
	slices.Sort(added)
	return slices.Compact(added)
}

// mounts are bind mounts of the kind for which a missing source is an error; the
// older kind makes an empty directory of root's in its place.
func (s spec) mounts() []mount.Mount {
	wanted := s.workload.Mounts
	mounts := make([]mount.Mount, len(wanted))
	for i, m := range wanted {
		mounts[i] = mount.Mount{Type: mount.TypeBind, Source: m.Path, Target: m.Path, ReadOnly: m.ReadOnly}
	}
	return mounts
}
