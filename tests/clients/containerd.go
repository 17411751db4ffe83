package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"docker-registry-operator/tests/machine"
)

const (
	socket     = "/run/containerd/containerd.sock"
	configFile = "/etc/containerd/config.toml"
	logFile    = "/var/log/containerd.log"

	// authorityFile is where the charm puts the authority of the registry for the whole system.
	authorityFile = "/usr/local/share/ca-certificates/juju-docker-registry.crt"

	// clusterCA, clusterCert and clusterKey are the cluster's, not the registry's: the charm has
	// containerd show them to a registry with TLS, whatever that asks for.
	clusterCA, clusterCert, clusterKey = "/root/cdk/ca.crt", "/root/cdk/server.crt", "/root/cdk/server.key"

	// startTimeout bounds how long containerd may take to come or go. It needs a second.
	startTimeout = time.Minute
)

// A Containerd is the containerd of a node of a cluster, as charm-containerd runs it.
type Containerd struct {
	machine *machine.Machine
	cmd     *exec.Cmd
	done    chan struct{}
}

// NewContainerd prepares a machine for containerd, which Configure starts. The cluster's certificate,
// its key and the authority that signed it are PEM.
func NewContainerd(m *machine.Machine, cert, key, ca []byte) (*Containerd, error) {
	for path, content := range map[string][]byte{clusterCert: cert, clusterKey: key, clusterCA: ca} {
		if err := m.WriteFile(path, content, 0o600); err != nil {
			return nil, fmt.Errorf("cannot prepare containerd: %w", err)
		}
	}
	return &Containerd{machine: m}, nil
}

// Configure makes a registry known and starts containerd anew, which reads the system's authorities but
// once.
func (c *Containerd) Configure(ctx context.Context, r Registry) error {
	if !r.Ready() {
		return errors.New("cannot configure containerd: the registry is not ready")
	}
	if r.TLS() {
		if err := c.trust(ctx, *r.CA); err != nil {
			return err
		}
	}
	if err := c.machine.WriteFile(configFile, []byte(configuration(r)), 0o600); err != nil {
		return fmt.Errorf("cannot configure containerd: %w", err)
	}
	if err := c.Stop(ctx); err != nil {
		return err
	}
	return c.start(ctx)
}

// trust has the whole system trust an authority. As the charm does, it saves itself the time where that
// has not changed.
func (c *Containerd) trust(ctx context.Context, ca string) error {
	if before, err := c.machine.ReadFile(authorityFile); err == nil && string(before) == ca {
		return nil
	}
	if err := c.machine.WriteFile(authorityFile, []byte(ca), 0o644); err != nil {
		return fmt.Errorf("cannot trust authority: %w", err)
	}
	if out, err := c.machine.Command(ctx, "update-ca-certificates", "--fresh").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot trust authority: %w: %s", err, out)
	}
	return nil
}

// configuration is those parts of charm-containerd's configuration that matter to a pull. The charm
// takes the netloc for the name of the registry, its endpoint and the key of its settings alike; the
// scheme is containerd's to add.
func configuration(r Registry) string {
	const registry = `plugins."io.containerd.grpc.v1.cri".registry`
	var out strings.Builder
	fmt.Fprintf(&out, "version = 2\n[grpc]\naddress = %q\n", socket)
	fmt.Fprintf(&out, "[%s.mirrors.%q]\nendpoint = [%q]\n", registry, *r.Netloc, *r.Netloc)
	if r.BasicAuth() {
		// As the charm does, which escapes nothing.
		fmt.Fprintf(&out, "[%s.configs.%q.auth]\nusername = \"%s\"\npassword = \"%s\"\n", registry, *r.Netloc, *r.User, *r.Password)
	}
	if r.TLS() {
		fmt.Fprintf(&out, "[%s.configs.%q.tls]\nca_file = %q\ncert_file = %q\nkey_file = %q\ninsecure_skip_verify = false\n",
			registry, *r.Netloc, clusterCA, clusterCert, clusterKey)
	}
	return out.String()
}

func (c *Containerd) start(ctx context.Context) error {
	log, err := os.OpenFile(c.machine.Path(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot start containerd: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd, done := c.machine.Command(context.Background(), "containerd", "--config", configFile), make(chan struct{})
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start containerd: %w", err)
	}
	go func() {
		// What it says of its end is in its log.
		_ = cmd.Wait()
		close(done)
	}()
	c.cmd, c.done = cmd, done
	return c.await(ctx)
}

// await waits until containerd serves images.
func (c *Containerd) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := c.call(func(images runtime.ImageServiceClient) error {
			_, err := images.ListImages(ctx, &runtime.ListImagesRequest{})
			return err
		})
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("cannot start containerd: it ended\n%s", c.log())
		case <-ctx.Done():
			return fmt.Errorf("cannot start containerd: %w\n%s", err, c.log())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends containerd if it runs.
func (c *Containerd) Stop(ctx context.Context) error {
	if c.cmd == nil {
		return nil
	}
	if out, err := c.machine.Command(ctx, "pkill", "-TERM", "-x", "containerd").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot stop containerd: %w: %s", err, out)
	}
	select {
	case <-c.done:
		c.cmd = nil
		return nil
	case <-time.After(startTimeout):
		return fmt.Errorf("cannot stop containerd: it is still there after %s", startTimeout)
	}
}

// Pull pulls an image as the kubelet does, and returns its digest.
func (c *Containerd) Pull(ctx context.Context, image string) (digest string, err error) {
	err = c.call(func(images runtime.ImageServiceClient) error {
		spec := &runtime.ImageSpec{Image: image}
		if _, err := images.PullImage(ctx, &runtime.PullImageRequest{Image: spec}); err != nil {
			return err
		}
		status, err := images.ImageStatus(ctx, &runtime.ImageStatusRequest{Image: spec})
		if err != nil {
			return err
		}
		if len(status.GetImage().GetRepoDigests()) != 1 {
			return fmt.Errorf("%s has the digests %q", image, status.GetImage().GetRepoDigests())
		}
		_, digest, _ = strings.Cut(status.Image.RepoDigests[0], "@")
		return nil
	})
	return digest, err
}

// Forget removes an image and what it alone is made of, so that the next pull fetches all of it.
func (c *Containerd) Forget(ctx context.Context, image string) error {
	return c.call(func(images runtime.ImageServiceClient) error {
		_, err := images.RemoveImage(ctx, &runtime.RemoveImageRequest{Image: &runtime.ImageSpec{Image: image}})
		return err
	})
}

// call asks containerd over the container runtime interface.
func (c *Containerd) call(ask func(runtime.ImageServiceClient) error) error {
	conn, err := grpc.NewClient("passthrough:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
			return c.machine.Dial(ctx, "unix", path)
		}))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return ask(runtime.NewImageServiceClient(conn))
}

// log returns the last lines of what containerd logged.
func (c *Containerd) log() string {
	data, err := c.machine.ReadFile(logFile)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-4096):])
}
