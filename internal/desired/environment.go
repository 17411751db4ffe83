package desired

import (
	"strings"

	"docker-registry-operator/internal/config"
)

// environment are the proxy settings of the registry: HTTP_PROXY and HTTPS_PROXY.
func environment(conf config.Container) []string {
	var env []string
	for _, proxy := range []struct {
		name string
		url  config.Secret
	}{
		{"HTTP_PROXY", conf.HTTPProxy},
		{"HTTPS_PROXY", conf.HTTPSProxy},
	} {
		if !proxy.url.IsZero() {
			env = append(env, proxy.name+"="+proxy.url.Reveal())
		}
	}
	return env
}

// exposed are the proxy options that hold credentials. An image that cannot read
// them from a file would show them in its container's environment.
func exposed(conf config.Container) config.Problems {
	var problems config.Problems
	for _, proxy := range []struct {
		option string
		url    config.Secret
	}{
		{"registry-http-proxy", conf.HTTPProxy},
		{"registry-https-proxy", conf.HTTPSProxy},
	} {
		if strings.Contains(proxy.url.Reveal(), "@") {
			problems = append(problems, config.Problem{
				Option: proxy.option,
				Text:   "holds credentials, which registry-image would show to everyone who may inspect containers; reset registry-image, or use a proxy without credentials",
			})
		}
	}
	return problems
}
