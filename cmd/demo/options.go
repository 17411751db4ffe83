package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const loopback = "127.0.0.1"

// options are those options of the charm that the demo sets.
type options struct {
	Runtime   string `yaml:"registry-runtime"`
	Name      string `yaml:"registry-name"`
	Port      int    `yaml:"registry-port"`
	DebugPort int    `yaml:"debug-port"`
	User      string `yaml:"auth-basic-user"`
	Password  string `yaml:"auth-basic-password"`
	Delete    bool   `yaml:"storage-delete"`
	CA        string `yaml:"tls-ca-blob"`
	Cert      string `yaml:"tls-cert-blob"`
	Key       string `yaml:"tls-key-blob"`
}

func (o options) netloc() string { return net.JoinHostPort(loopback, strconv.Itoa(o.Port)) }

// prepare is what an earlier demo left, so that a second one changes nothing, or
// new options with the files that explain names.
func (s stage) prepare(ctx context.Context) (options, error) {
	content, err := os.ReadFile(s.path("options.yaml"))
	if err == nil {
		var earlier options
		if err := yaml.Unmarshal(content, &earlier); err != nil {
			return options{}, fmt.Errorf("cannot read the options of the demo that runs; mend %s or remove it", s.path("options.yaml"))
		}
		return earlier, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return options{}, fmt.Errorf("cannot read options: %w", err)
	}
	made, err := newOptions(ctx)
	if err != nil {
		return options{}, err
	}
	return made, s.write(made)
}

func newOptions(ctx context.Context) (options, error) {
	certificate, err := newCertificate()
	if err != nil {
		return options{}, err
	}
	ports, err := freePorts(ctx)
	if err != nil {
		return options{}, err
	}
	blob := base64.StdEncoding.EncodeToString
	return options{
		Runtime: chooseRuntime(ctx), Name: "docker-registry-demo",
		Port: ports[0], DebugPort: ports[1],
		User: "admin", Password: rand.Text(), Delete: true,
		CA: blob(certificate.ca), Cert: blob(certificate.chain), Key: blob(certificate.key),
	}, nil
}

// write puts options.yaml last: where it is, everything is.
func (s stage) write(made options) error {
	content, err := yaml.Marshal(made)
	if err != nil {
		return fmt.Errorf("cannot encode options: %w", err)
	}
	ca, err := base64.StdEncoding.DecodeString(made.CA)
	if err != nil {
		return fmt.Errorf("cannot decode CA: %w", err)
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("cannot make a place for the demo: %w", err)
	}
	if err := s.makeRoot(); err != nil {
		return fmt.Errorf("cannot make a place for the registry: %w", err)
	}
	netrc := fmt.Sprintf("machine %s login %s password %s\n", loopback, made.User, made.Password)
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{"ca.crt", ca},
		{"password", []byte(made.Password)},
		{"netrc", []byte(netrc)},
		{"options.yaml", content},
	} {
		if err := os.WriteFile(s.path(file.name), file.content, 0o600); err != nil {
			return fmt.Errorf("cannot write the demo's files: %w", err)
		}
	}
	return nil
}

// chooseRuntime is "docker" where a Docker Engine answers. The charm would install
// one; a demo does not change what is on a machine.
func chooseRuntime(ctx context.Context) string {
	socket := "/var/run/docker.sock"
	if path, isSocket := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); isSocket {
		socket = path
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err == nil {
		var answer *http.Response
		if answer, err = client.Do(request); err == nil {
			answer.Body.Close()
			return "docker"
		}
	}
	say("no Docker Engine answers at %s, so the registry runs as a process of this machine (registry-runtime=native)", socket)
	return "native"
}

// freePorts are the charm's default ports where those are free, else any two.
func freePorts(ctx context.Context) ([2]int, error) {
	var ports [2]int
	for i, wanted := range []string{"5000", "5001"} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+wanted)
		if err != nil {
			listener, err = new(net.ListenConfig).Listen(ctx, "tcp", ":0")
		}
		if err != nil {
			return ports, fmt.Errorf("cannot find a free port: %w", err)
		}
		defer listener.Close()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
