package config

import (
	"encoding/json"
	"strings"

	"github.com/kballard/go-shellquote"
)

// Engine is how the Docker Engine is brought to the machine and configured.
type Engine struct {
	// Source is "apt" for Debian's or Ubuntu's docker.io, "custom" for Custom.
	Source string
	Custom CustomEngine
	// Opts is option docker-opts: arguments of dockerd.
	Opts []string
	// Daemon is option daemon-opts, what /etc/docker/daemon.json must hold.
	Daemon map[string]any
	// HTTPProxy, HTTPSProxy and NoProxy are dockerd's. The first two are URLs that
	// may hold credentials.
	HTTPProxy, HTTPSProxy Secret
	NoProxy               string
}

// CustomEngine is an APT repository and package that the operator chose.
type CustomEngine struct {
	// Repository is a line of sources.list, in which {ARCH} stands for the machine's
	// architecture and {CODE} for its release's code name.
	Repository, KeyURL, Package string
}

// upstream is what docker_runtime "upstream" stands for.
// https://docs.docker.com/engine/install/ubuntu/
func upstream() CustomEngine {
	return CustomEngine{
		Repository: "deb [arch={ARCH}] https://download.docker.com/linux/ubuntu {CODE} stable",
		KeyURL:     "https://download.docker.com/linux/ubuntu/gpg",
		Package:    "docker-ce",
	}
}

func (r *reader) engine() Engine {
	engine := Engine{
		Opts:       r.words("docker-opts"),
		Daemon:     r.object("daemon-opts"),
		HTTPProxy:  r.proxy("http_proxy"),
		HTTPSProxy: r.proxy("https_proxy"),
		NoProxy:    r.text("no_proxy"),
	}
	engine.Source, engine.Custom = r.source()
	return engine
}

// source keeps the words of the charm that this one replaces: what drove graphics
// cards is an engine like any other to a registry.
func (r *reader) source() (string, CustomEngine) {
	custom := CustomEngine{
		Repository: r.text("docker_runtime_repo"),
		KeyURL:     r.text("docker_runtime_key_url"),
		Package:    r.text("docker_runtime_package"),
	}
	switch r.choice("docker_runtime", "auto", "apt", "upstream", "nvidia", "custom") {
	case "upstream":
		return "custom", upstream()
	case "custom":
		r.checkCustom(custom)
		return "custom", custom
	}
	return "apt", CustomEngine{}
}

func (r *reader) checkCustom(custom CustomEngine) {
	const missing = `must be set when "docker_runtime" is custom`
	switch {
	case custom.Repository == "":
		r.complainOnce("docker_runtime_repo", missing)
	case !strings.HasPrefix(custom.Repository, "deb "):
		r.complain("docker_runtime_repo", `must be a source such as "deb [arch={ARCH}] https://download.example.com/linux/ubuntu {CODE} stable"`)
	}
	if custom.KeyURL == "" {
		r.complainOnce("docker_runtime_key_url", missing)
	} else if _, fault := parseURL(custom.KeyURL); fault != "" {
		r.complain("docker_runtime_key_url", "%s", fault)
	}
	switch {
	case custom.Package == "":
		r.complainOnce("docker_runtime_package", missing)
	case !packageName().MatchString(custom.Package):
		r.complain("docker_runtime_package", "must be the name of a package")
	}
}

// words is an option that holds words as a shell would split them.
func (r *reader) words(name string) []string {
	words, err := shellquote.Split(r.raw(name))
	if err != nil {
		r.complain(name, "must close every quote, and have a character behind every backslash")
		return nil
	}
	return words
}

// object is an option that holds a JSON object; nil if it is empty.
func (r *reader) object(name string) map[string]any {
	text := strings.TrimSpace(r.raw(name))
	if text == "" {
		return nil
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		r.complain(name, `must be a JSON object such as {"log-driver": "json-file"}`)
		return nil
	}
	return object
}
