package registryconf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"docker-registry-operator/internal/config"
)

var update = flag.Bool("update", false, "write golden files anew")

// declared are the defaults of config.yaml, nil for an option without one.
func declared(t testing.TB) map[string]any {
	t.Helper()
	text, err := os.ReadFile("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Options map[string]struct{ Default any }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	for name, option := range file.Options {
		values[name] = option.Default
	}
	return values
}

// parse is what the defaults mean with some options changed.
func parse(t testing.TB, changed config.Options) config.Config {
	t.Helper()
	options := config.Options(declared(t))
	maps.Copy(options, changed)
	parsed, err := config.Parse(options)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// input is a unit that serves plain HTTP.
func input(t testing.TB, changed config.Options) Input {
	t.Helper()
	return Input{
		Config:    parse(t, changed),
		Digest:    "sha256:0123",
		Data:      "/srv/registry",
		Secret:    config.NewSecret("c2VjcmV0"),
		Realm:     "docker-registry",
		Htpasswd:  "/etc/docker/registry/htpasswd",
		Policy:    "/etc/docker/registry/policy",
		RootCerts: "/etc/docker/registry/token/root.crt",

		Authorities: "/etc/docker/registry/storage/ca.pem",
	}
}

func served() *TLS {
	return &TLS{
		Certificate: "/etc/docker/registry/tls/registry.crt",
		Key:         "/etc/docker/registry/tls/registry.key",
		ClientCAs:   "/etc/docker/registry/tls/clients.crt",
	}
}

// authority is a certificate as PEM in base64.
func authority(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return base64.StdEncoding.EncodeToString(text)
}

func merge(options ...config.Options) config.Options {
	merged := config.Options{}
	for _, each := range options {
		maps.Copy(merged, each)
	}
	return merged
}

// usersOptions are two users, of whom one comes of the options of old.
func usersOptions() config.Options {
	return merge(basicOptions(), config.Options{"auth-users": "ci: builds"})
}

func basicOptions() config.Options { return config.Options{"auth-basic-password": "s3cret"} }

func tokenOptions(t testing.TB) config.Options {
	return config.Options{
		"auth-token-realm": "https://auth.example.com/token", "auth-token-service": "registry.example.com",
		"auth-token-issuer": "Example", "auth-token-root-certs": authority(t),
	}
}

func mirrorOptions() config.Options {
	return config.Options{
		"cache-remoteurl": "https://registry-1.docker.io", "cache-username": "reader", "cache-password": "off",
	}
}

func swiftOptions() config.Options {
	return config.Options{
		"storage-swift-authurl": "https://keystone.example.com:5000/v3", "storage-swift-username": "u",
		"storage-swift-password": "1e3", "storage-swift-tenant": "t", "storage-swift-domain": "Default",
		"storage-swift-region": "RegionOne",
	}
}

// fullSwiftOptions name a user and a project of two domains.
func fullSwiftOptions() config.Options {
	return merge(swiftOptions(), config.Options{
		"storage-swift-authurl": "https://keystone.example.com:5000", "storage-swift-authversion": 3,
		"storage-swift-tenant": "", "storage-swift-tenant-id": "0x1", "storage-swift-domain": "", "storage-swift-domain-id": "2",
		"storage-swift-tenant-domain-id": "3", "storage-swift-endpoint-type": "internal", "storage-swift-prefix": "registry",
		"storage-swift-chunksize": 1048576, "storage-swift-secretkey": "off",
	})
}

func redisOptions() config.Options {
	return config.Options{"storage-cache": "redis", "storage-redis-addrs": "redis.example.com:6379"}
}

// sentinelOptions are a Redis that sentinels know.
func sentinelOptions() config.Options {
	return merge(redisOptions(), config.Options{
		"storage-redis-addrs": "a:26379, [2001:db8::1]:26379", "storage-redis-sentinel-master": "mymaster",
		"storage-redis-sentinel-password": "0x1", "storage-redis-username": "registry", "storage-redis-password": "1e3",
		"storage-redis-db": 2, "storage-redis-tls": true,
	})
}

func s3Options() config.Options {
	return config.Options{"storage-s3-bucket": "images", "storage-s3-region": "eu-central-1"}
}

func fullS3Options() config.Options {
	return merge(s3Options(), config.Options{
		"storage-s3-regionendpoint": "https://s3.example.com:9000", "storage-s3-accesskey": "0x10",
		"storage-s3-secretkey": "a: #'\"b", "storage-s3-rootdirectory": "/registry",
		"storage-s3-forcepathstyle": true, "storage-s3-encrypt": true, "storage-s3-keyid": "key",
		"storage-s3-secure": false, "storage-s3-skip-verify": true, "storage-s3-skip-v4-auth": false,
		"storage-s3-chunksize": 5242880, "storage-s3-multipartcopychunksize": 5242881,
		"storage-s3-multipartcopymaxconcurrency": 1, "storage-s3-multipartcopythresholdsize": 0,
		"storage-s3-storageclass": "STANDARD_IA", "storage-s3-objectacl": "bucket-owner-full-control",
		"storage-s3-useragent": "ours", "storage-s3-usedualstack": true,
		"storage-s3-loglevel": "debug",
	})
}

const notificationsOverlay = `
notifications:
  events: {includereferences: true}
  endpoints:
    - name: audit
      url: https://audit.example.com/events
      headers: {Authorization: [Bearer abc]}
      timeout: 1s
      threshold: 5
      backoff: 10s
http:
  headers: {Strict-Transport-Security: [max-age=1]}
  tls: {ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]}
storage:
  filesystem: {maxthreads: 50}
  maintenance: {uploadpurging: {age: 24h}}
health: {storagedriver: {threshold: 5}}
log: {accesslog: {disabled: false}}
`

func overlaid(text string) config.Options { return config.Options{"registry-config": text} }

func TestRenderGolden(t *testing.T) {
	tests := []struct {
		name    string
		options config.Options
		tls     bool
		stock   int
	}{
		{name: "http"},
		{name: "https", tls: true},
		{name: "http-host", tls: true, options: config.Options{"http-host": "https://registry.example.com/images"}},
		{name: "clients-require", tls: true, options: config.Options{"tls-client-ca": authority(t)}},
		{name: "clients-request", tls: true, options: config.Options{"tls-client-ca": authority(t), "tls-client-auth": "request"}},
		{name: "basic", tls: true, options: basicOptions()},
		{name: "users", tls: true, options: merge(usersOptions(), config.Options{"tls-min-version": "1.3"})},
		{name: "users-policy", options: merge(usersOptions(), config.Options{"auth-policy": "ci * pull"})},
		{name: "policy", options: config.Options{"auth-policy": "anonymous * pull"}},
		{name: "stock2-users", stock: 2, options: usersOptions()},
		{name: "token", tls: true, options: tokenOptions(t)},
		{name: "mirror", options: mirrorOptions()},
		{name: "mirror-stock2", options: mirrorOptions(), stock: 2},
		{name: "mirror-public", options: config.Options{"cache-remoteurl": "https://registry-1.docker.io"}},
		{name: "s3", options: s3Options()},
		{name: "s3-full", options: fullS3Options()},
		{name: "s3-elsewhere", options: config.Options{"storage-s3-bucket": "images", "storage-s3-regionendpoint": "ceph:7480"}},
		{name: "metrics", options: config.Options{"prometheus-metrics": true, "debug-port": 9100}},
		{name: "read-only", options: config.Options{"storage-read-only": true}},
		{name: "delete", options: config.Options{"storage-delete": true}},
		{name: "cache-disabled", options: config.Options{"storage-cache": "disabled"}},
		{name: "overlay-notifications", tls: true, options: overlaid(notificationsOverlay)},
		{name: "overlay-empty", options: overlaid("{}")},
		{name: "overlay-azure", options: overlaid("storage: {azure: {accountname: a, accountkey: k, container: c, credentials: {type: shared_key}}}")},
		{name: "overlay-gcs", options: overlaid("storage: {gcs: {bucket: b, keyfile: /etc/ssl/gcs.json}}")},
		{name: "overlay-redis", options: overlaid("redis: {addrs: ['r:6379'], password: off}\nstorage: {cache: {blobdescriptor: redis}}")},
		{name: "overlay-token", options: merge(tokenOptions(t), overlaid("auth: {token: {autoredirect: true, signingalgorithms: [ES256]}}"))},
		{name: "overlay-mirror", options: merge(mirrorOptions(), overlaid("proxy: {cachewritetimeout: 1h}"))},
		{name: "overlay-s3", options: merge(s3Options(), overlaid("storage: {s3: {usefipsendpoint: true}}"))},
		{name: "redis", options: redisOptions()},
		{name: "redis-full", options: merge(s3Options(), sentinelOptions(), overlaid("redis: {poolsize: 4}"))},
		{name: "stock2-redis-option", stock: 2, options: merge(redisOptions(), config.Options{"storage-redis-password": "off", "storage-redis-db": 2})},
		{name: "swift", options: swiftOptions()},
		{name: "swift-full", options: fullSwiftOptions()},
		{name: "swift-v1", options: config.Options{
			"storage-swift-authurl": "http://swift.example.com:8080/auth/v1.0", "storage-swift-username": "test:tester", "storage-swift-password": "testing",
		}},
		{name: "swift-trust", options: merge(swiftOptions(), config.Options{"storage-swift-tenant": "", "storage-swift-trust-id": "0x1"})},
		{name: "stock2", tls: true, stock: 2, options: merge(basicOptions(), config.Options{"tls-client-ca": authority(t)})},
		{name: "stock2-swift", stock: 2, options: swiftOptions()},
		{name: "stock2-redis", stock: 2, options: overlaid("redis: {addr: 'r:6379', pool: {maxidle: 16}}\nstorage: {cache: {blobdescriptor: redis}}\ncompatibility: {schema1: {enabled: true}}")},
		{name: "stock2-s3-old", stock: 2, options: merge(s3Options(), config.Options{"storage-s3-regionendpoint": "http://ceph:7480", "storage-s3-skip-v4-auth": false})},
		{name: "stock3", tls: true, stock: 3, options: basicOptions()},
	}
	wanted := map[string]bool{}
	for _, test := range tests {
		wanted[test.name+".golden"] = true
		t.Run(test.name, func(t *testing.T) {
			in := input(t, test.options)
			in.Stock = test.stock
			if test.tls {
				in.TLS = served()
			}
			got, err := Render(in)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join("testdata", test.name+".golden"), got)
			parsedBack(t, got, test.stock)
		})
	}
	noneLeft(t, wanted)
}

func compareGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// noneLeft finds golden files of tests that are gone.
func noneLeft(t *testing.T, wanted map[string]bool) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !wanted[filepath.Base(file)] {
			t.Errorf("%s is of no test", file)
		}
	}
}

// parsedBack is the configuration as the registry reads it. Version 3 must know every
// key; version 2 has some of its own.
func parsedBack(t *testing.T, text []byte, stock int) *configuration.Configuration {
	t.Helper()
	parsed, err := configuration.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("distribution refuses it: %v\n%s", err, text)
	}
	if stock == 2 {
		return parsed
	}
	if err := known(text); err != nil {
		t.Fatalf("distribution does not know all of it: %v\n%s", err, text)
	}
	return parsed
}

func TestRenderIsReadBack(t *testing.T) {
	in := input(t, merge(fullS3Options(), mirrorOptions(), basicOptions()))
	text, err := Render(in)
	if err != nil {
		t.Fatal(err)
	}
	parsed := parsedBack(t, text, 0)
	s3 := parsed.Storage.Parameters()
	// These look like other types in YAML, or need quotes.
	got := []any{s3["accesskey"], s3["secretkey"], parsed.Proxy.Password, parsed.HTTP.Secret, parsed.HTTP.Addr}
	want := []any{"0x10", "a: #'\"b", "off", "c2VjcmV0", ":5000"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if parsed.Storage.Type() != "s3" || parsed.Auth.Type() != "htpasswd" {
		t.Errorf("storage is %q and auth %q", parsed.Storage.Type(), parsed.Auth.Type())
	}
	if !strings.HasPrefix(string(text), "# docker-registry charm; other files: sha256:0123\n") {
		t.Errorf("digest is not in the first line:\n%s", text)
	}
}

func TestRenderTwice(t *testing.T) {
	in := input(t, overlaid(notificationsOverlay))
	first, err := Render(in)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := Render(in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(again)); diff != "" {
			t.Fatalf("(-first +again):\n%s", diff)
		}
	}
}
