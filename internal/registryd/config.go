package registryd

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/distribution/distribution/v3/configuration"

	"docker-registry-operator/internal/registryd/upstream"
)

// file is a configuration file as it was read.
type file struct {
	*configuration.Configuration
	digest string
}

// readFile reads and parses the configuration at path, with the overrides from REGISTRY_
// variables of the environment, as the stock registry does.
func readFile(path string) (file, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return file{}, fmt.Errorf("cannot read configuration: %w", err)
	}
	conf, err := parse(data)
	if err != nil {
		return file{}, fmt.Errorf("cannot parse configuration %q: %w", path, err)
	}
	sum := sha256.Sum256(data)
	return file{Configuration: conf, digest: "sha256:" + hex.EncodeToString(sum[:])}, nil
}

// parse recovers because distribution's parser panics on some malformed input.
func parse(data []byte) (conf *configuration.Configuration, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%v", cause)
		}
	}()
	return configuration.Parse(bytes.NewReader(data))
}

// newSecret makes the http.secret of a configuration without one. It has to be the same
// for all generations, or uploads that span a reload would fail.
func newSecret() string { return rand.Text() }

// forApp returns the configuration that distribution's application is built from: the
// given one without what the server does in its place, because the application cannot do
// it twice in a process or cannot stop doing it.
func forApp(conf *configuration.Configuration, secret string, from *upstream.Upstream) *configuration.Configuration {
	app := *conf
	if from != nil {
		app.Proxy = throughUpstream(conf.Proxy, from)
	}
	app.HTTP.Debug.Prometheus.Enabled = false
	if app.HTTP.Secret == "" {
		app.HTTP.Secret = secret
	}
	app.Notifications.Endpoints = nil
	if urls := &app.Validation.Manifests.URLs; len(urls.Allow) == 0 && len(urls.Deny) == 0 {
		// distribution takes this for none, and no image with a layer that is kept elsewhere.
		urls.Allow = []string{"^https?://"}
	}

	app.Storage = maps.Clone(conf.Storage)
	maintenance := configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}}
	for key, value := range conf.Storage["maintenance"] {
		if key != "uploadpurging" {
			maintenance[key] = value
		}
	}
	app.Storage["maintenance"] = maintenance
	if conf.Proxy.RemoteURL != "" {
		// What expires in one repository, or in another registry on the same storage,
		// would still be known here, and neither be served nor pulled again.
		delete(app.Storage, "cache")
	}

	app.Middleware = maps.Clone(conf.Middleware)
	if app.Middleware == nil {
		app.Middleware = make(map[string][]configuration.Middleware)
	}
	app.Middleware["storage"] = slices.Insert(slices.Clone(conf.Middleware["storage"]), 0,
		configuration.Middleware{Name: captureName})
	app.Middleware["registry"] = slices.Insert(slices.Clone(conf.Middleware["registry"]), 0,
		configuration.Middleware{Name: streamName})
	return &app
}
