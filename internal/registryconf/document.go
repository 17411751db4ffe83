package registryconf

import (
	"fmt"

	"docker-registry-operator/internal/config"
)

// document is a distribution configuration, version 0.1, as far as options reach.
// https://distribution.github.io/distribution/about/configuration/
type document struct {
	Version string   `yaml:"version"`
	Log     logging  `yaml:"log"`
	HTTP    server   `yaml:"http"`
	Auth    *auth    `yaml:"auth,omitempty"`
	Storage storage  `yaml:"storage"`
	Redis   *redis   `yaml:"redis,omitempty"`
	Health  health   `yaml:"health"`
	Proxy   *proxied `yaml:"proxy,omitempty"`
}

type logging struct {
	Level     string    `yaml:"level"`
	Formatter string    `yaml:"formatter"`
	AccessLog accessLog `yaml:"accesslog"`
}

// accessLog is distribution's second line for each request, which is not JSON.
type accessLog struct {
	Disabled bool `yaml:"disabled"`
}

type server struct {
	Addr         string              `yaml:"addr"`
	Host         string              `yaml:"host,omitempty"`
	RelativeURLs bool                `yaml:"relativeurls,omitempty"`
	Secret       string              `yaml:"secret,omitempty"`
	Headers      map[string][]string `yaml:"headers"`
	TLS          *serverTLS          `yaml:"tls,omitempty"`
	Debug        debug               `yaml:"debug"`
}

type serverTLS struct {
	Certificate string   `yaml:"certificate"`
	Key         string   `yaml:"key"`
	ClientCAs   []string `yaml:"clientcas,omitempty"`
	ClientAuth  string   `yaml:"clientauth,omitempty"`
	MinimumTLS  string   `yaml:"minimumtls"`
}

type debug struct {
	Addr       string      `yaml:"addr"`
	Prometheus *prometheus `yaml:"prometheus,omitempty"`
}

type prometheus struct {
	Enabled bool   `yaml:"enabled"`
	Path    string `yaml:"path"`
}

type auth struct {
	Htpasswd *htpasswd `yaml:"htpasswd,omitempty"`
	Access   *access   `yaml:"access,omitempty"`
	Token    *token    `yaml:"token,omitempty"`
}

// access is of the built-in registry alone. Without a policy, whoever signs in may
// everything.
type access struct {
	Realm  string `yaml:"realm"`
	Users  string `yaml:"users"`
	Policy string `yaml:"policy,omitempty"`
}

type htpasswd struct {
	Realm string `yaml:"realm"`
	Path  string `yaml:"path"`
}

type token struct {
	Realm          string `yaml:"realm"`
	Service        string `yaml:"service"`
	Issuer         string `yaml:"issuer"`
	RootCertBundle string `yaml:"rootcertbundle"`
}

type health struct {
	StorageDriver check `yaml:"storagedriver"`
}

type check struct {
	Enabled   bool   `yaml:"enabled"`
	Interval  string `yaml:"interval"`
	Threshold int    `yaml:"threshold"`
}

type proxied struct {
	RemoteURL string `yaml:"remoteurl"`
	Username  string `yaml:"username,omitempty"`
	Password  string `yaml:"password,omitempty"`
	// TTL is "" for version 2, which does not know it.
	TTL string `yaml:"ttl,omitempty"`
}

func newDocument(in Input) document {
	return document{
		Version: "0.1",
		Log:     logging{Level: in.Config.Log.Level, Formatter: "json", AccessLog: accessLog{Disabled: true}},
		HTTP:    newServer(in),
		Auth:    newAuth(in),
		Storage: newStorage(in),
		Redis:   newRedis(in),
		Health:  health{StorageDriver: check{Enabled: true, Interval: "10s", Threshold: 3}},
		Proxy:   newProxied(in),
	}
}

func newServer(in Input) server {
	http := in.Config.HTTP
	return server{
		Addr:         fmt.Sprintf(":%d", http.Port),
		Host:         http.Host.String(),
		RelativeURLs: http.Host.String() == "",
		Secret:       in.Secret.Reveal(),
		Headers:      map[string][]string{"X-Content-Type-Options": {"nosniff"}},
		TLS:          newServerTLS(in),
		Debug:        newDebug(http),
	}
}

// newDebug keeps the debug server, which shows profiles and the command line, to
// the machine itself, unless its metrics are to be read from elsewhere.
func newDebug(http config.HTTP) debug {
	if !http.Metrics {
		return debug{Addr: fmt.Sprintf("127.0.0.1:%d", http.DebugPort)}
	}
	return debug{
		Addr:       fmt.Sprintf(":%d", http.DebugPort),
		Prometheus: &prometheus{Enabled: true, Path: "/metrics"},
	}
}

func newServerTLS(in Input) *serverTLS {
	if in.TLS == nil {
		return nil
	}
	served := &serverTLS{Certificate: in.TLS.Certificate, Key: in.TLS.Key, MinimumTLS: "tls" + in.Config.TLS.Minimum}
	clients := in.Config.TLS.Clients
	if clients == nil {
		return served
	}
	served.ClientCAs = []string{in.TLS.ClientCAs}
	// Version 2 does not know the setting, and always requires a certificate.
	if in.Stock != 2 {
		served.ClientAuth = clientAuth(clients.Required)
	}
	return served
}

func clientAuth(required bool) string {
	if required {
		return "require-and-verify-client-cert"
	}
	return "verify-client-cert-if-given"
}

func newAuth(in Input) *auth {
	switch {
	case in.Config.Auth.Own() && in.Stock == 0:
		return &auth{Access: newAccess(in)}
	case in.Config.Auth.Passwords():
		return &auth{Htpasswd: &htpasswd{Realm: in.Realm, Path: in.Htpasswd}}
	case in.Config.Auth.Token != nil:
		t := in.Config.Auth.Token
		return &auth{Token: &token{
			Realm:          t.Realm,
			Service:        t.Service,
			Issuer:         t.Issuer,
			RootCertBundle: in.RootCerts,
		}}
	}
	return nil
}

func newAccess(in Input) *access {
	rendered := &access{Realm: in.Realm, Users: in.Htpasswd}
	if in.Config.Auth.Policy != nil {
		rendered.Policy = in.Policy
	}
	return rendered
}

func newProxied(in Input) *proxied {
	mirror := in.Config.Mirror
	if mirror == nil {
		return nil
	}
	rendered := &proxied{
		RemoteURL: mirror.URL.String(),
		Username:  mirror.Username,
		Password:  mirror.Password.Reveal(),
	}
	if in.Stock != 2 {
		rendered.TTL = mirror.TTL
	}
	return rendered
}
