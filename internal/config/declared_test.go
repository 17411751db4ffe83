package config

import (
	"bytes"
	"maps"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// declaration is what config.yaml says of one option.
type declaration struct {
	Type        kind
	Default     any
	Description string
}

func declarations(t testing.TB) map[string]declaration {
	t.Helper()
	text, err := os.ReadFile("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Options map[string]declaration }
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	return file.Options
}

// defaults are the options of a unit whose operator has set none.
func defaults(t testing.TB) Options {
	t.Helper()
	options := Options{}
	for name, declared := range declarations(t) {
		if declared.Default != nil {
			options[name] = declared.Default
		}
	}
	return options
}

// with are the defaults with some options changed.
func with(t testing.TB, changed Options) Options {
	t.Helper()
	options := defaults(t)
	maps.Copy(options, changed)
	return options
}

func TestEveryOptionIsDeclaredAndRead(t *testing.T) {
	declared := map[string]kind{}
	for name, d := range declarations(t) {
		declared[name] = d.Type
	}
	// Nothing is set, so whatever is read is read before anything is decided.
	r := newReader(Options{})
	r.config()
	if diff := cmp.Diff(declared, r.read); diff != "" {
		t.Errorf("config.yaml (-) and the options that Parse reads (+) differ:\n%s", diff)
	}
}

func TestDeclarations(t *testing.T) {
	for name, d := range declarations(t) {
		if d.Description == "" {
			t.Errorf("option %q has no description", name)
		}
		ok := d.Default == nil
		switch d.Default.(type) {
		case string:
			ok = d.Type == textKind
		case bool:
			ok = d.Type == flagKind
		case int:
			ok = d.Type == numKind
		}
		if !ok {
			t.Errorf("option %q is a %s, but its default is %#v", name, d.Type, d.Default)
		}
	}
}

// The options of the charm that this one replaces: a value of an option that has
// vanished or changed its type is dropped by an upgrade.
func TestInheritedOptions(t *testing.T) {
	inherited := map[kind]string{
		textKind: `auth-basic-password auth-basic-user auth-token-issuer auth-token-realm
			auth-token-root-certs auth-token-service cache-password cache-remoteurl
			cache-username http-host log-level registry-image registry-name
			registry-http-proxy registry-https-proxy storage-cache storage-swift-authurl
			storage-swift-container storage-swift-password storage-swift-region
			storage-swift-tenant storage-swift-username storage-swift-domain tls-ca-blob
			tls-cert-blob tls-key-blob tls-ca-path tls-cert-path tls-key-path
			storage-s3-accesskey storage-s3-secretkey storage-s3-region
			storage-s3-regionendpoint storage-s3-bucket storage-s3-keyid
			storage-s3-rootdirectory storage-s3-useragent storage-s3-storageclass
			storage-s3-objectacl storage-s3-loglevel apt-key-server docker-opts daemon-opts
			docker_runtime docker_runtime_repo docker_runtime_key_url
			docker_runtime_package cuda_repo nvidia-docker-package
			nvidia-container-runtime-package docker-ce-package http_proxy https_proxy
			no_proxy extra_packages package_status install_sources install_keys
			nagios_context nagios_servicegroups`,
		flagKind: `prometheus-metrics storage-delete storage-redirect-disable
			storage-read-only storage-s3-forcepathstyle storage-s3-encrypt
			storage-s3-secure storage-s3-skip-verify storage-s3-skip-v4-auth
			storage-s3-usedualstack storage-s3-accelerate enable-cgroups
			install_from_upstream`,
		numKind: `debug-port registry-port storage-s3-chunksize
			storage-s3-multipartcopychunksize storage-s3-multipartcopymaxconcurrency
			storage-s3-multipartcopythresholdsize`,
	}
	declared := declarations(t)
	count := 0
	for kind, names := range inherited {
		for _, name := range fields(names) {
			count++
			if declared[name].Type != kind {
				t.Errorf("option %q is declared as %q, want %q", name, declared[name].Type, kind)
			}
		}
	}
	if count != 79 {
		t.Errorf("the list has %d options, want 79", count)
	}
}
