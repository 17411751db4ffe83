package config

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/distribution/reference"
)

// Container says what runs the registry.
type Container struct {
	Name    string
	Runtime Runtime
	// Image is option registry-image; "" is the registry that the charm carries, and
	// always so with [Native].
	Image string
	// HTTPProxy and HTTPSProxy are the proxies that the registry uses for its
	// upstream, its storage and its notifications: URLs that may hold credentials.
	HTTPProxy, HTTPSProxy Secret
}

// Runtime is what runs the registry: a container of the Docker Engine or a
// process of the host.
type Runtime string

// The runtimes of option registry-runtime.
const (
	Docker Runtime = "docker"
	Native Runtime = "native"
)

func (r *reader) container() Container {
	container := Container{
		Name:       r.name(),
		Runtime:    Runtime(r.choice("registry-runtime", string(Docker), string(Native))),
		Image:      r.text("registry-image"),
		HTTPProxy:  r.proxy("registry-http-proxy"),
		HTTPSProxy: r.proxy("registry-https-proxy"),
	}
	if container.Image == "" {
		return container
	}
	if _, err := reference.ParseDockerRef(container.Image); err != nil {
		r.complain("registry-image", `must be an image such as "registry:2" or "ghcr.io/example/registry:3": %v`, err)
	}
	if container.Runtime == Native {
		r.complain("registry-image", `must be empty when "registry-runtime" is native`)
	}
	return container
}

func (r *reader) name() string {
	name := r.text("registry-name")
	if !containerName().MatchString(name) {
		r.complain("registry-name", "must be 2 to 128 letters, digits, dots, hyphens and underscores, the first a letter or a digit")
	}
	return name
}

// containerName is Docker's rule, with an end.
// https://github.com/moby/moby/blob/v28.5.2/daemon/names/names.go
func containerName() *regexp.Regexp {
	return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$`)
}

// proxy is an option that holds the URL of a proxy. As everywhere, http:// may be
// left out.
func (r *reader) proxy(name string) Secret {
	secret := r.secret(name)
	text := strings.TrimSpace(secret.Reveal())
	if text == "" {
		return Secret{}
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	parsed, err := url.Parse(text)
	if err != nil || !proxyScheme(parsed.Scheme) || !hostName().MatchString(parsed.Hostname()) || !validPort(parsed) {
		r.complain(name, `must be a URL such as "http://proxy.example.com:3128"`)
		return Secret{}
	}
	return NewSecret(text)
}

func proxyScheme(scheme string) bool {
	return scheme == "http" || scheme == "https" || scheme == "socks5"
}
