package registryconf

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
)

// elsewhere are options of the registry that act on the files beside config.yml or on
// what runs the registry.
func elsewhere() []string {
	return []string{
		"registry-image", "registry-name", "registry-runtime", "registry-http-proxy", "registry-https-proxy",
		"tls-cert-blob", "tls-key-blob", "tls-ca-blob", "tls-cert-path", "tls-key-path", "tls-ca-path",
		"auth-basic-user", "auth-token-root-certs", "storage-ca-blob",
	}
}

// changes are the lines that differ, as a diff shows them, each below the keys that
// lead to it.
func changes(before, after string) []string {
	old, fresh := paths(before), paths(after)
	var lines []string
	for _, line := range old {
		if !slices.Contains(fresh, line) {
			lines = append(lines, "-"+line)
		}
	}
	for _, line := range fresh {
		if !slices.Contains(old, line) {
			lines = append(lines, "+"+line)
		}
	}
	return lines
}

// paths turns block YAML with an indentation of two into lines `a.b: value`.
func paths(text string) []string {
	var lines, at []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		key, value, _ := strings.Cut(strings.TrimLeft(line, " "), ":")
		depth := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		at = append(at[:min(depth, len(at))], key)
		if value != "" || strings.HasPrefix(key, "-") {
			lines = append(lines, strings.Join(at, ".")+":"+value)
		}
	}
	return lines
}

// effect is what a value of one option changes in the rendered configuration.
type effect struct {
	option string
	base   config.Options // set before and after
	value  any
	want   []string
	stock  int
}

func servedEffects(t *testing.T) []effect {
	clients := config.Options{"tls-client-ca": authority(t)}
	return []effect{
		{option: "registry-port", value: 443, want: []string{"-http.addr: :5000", "+http.addr: :443"}},
		{option: "debug-port", value: 9, want: []string{"-http.debug.addr: 127.0.0.1:5001", "+http.debug.addr: 127.0.0.1:9"}},
		{option: "prometheus-metrics", value: true, want: []string{
			"-http.debug.addr: 127.0.0.1:5001", "+http.debug.addr: :5001",
			"+http.debug.prometheus.enabled: true", "+http.debug.prometheus.path: /metrics",
		}},
		{option: "http-host", value: "https://r.example.com", want: []string{"-http.relativeurls: true", "+http.host: https://r.example.com"}},
		{option: "log-level", value: "error", want: []string{"-log.level: info", "+log.level: error"}},
		{option: "registry-config", value: "tags: {maxtags: 5}", want: []string{"+tags.maxtags: 5"}},
		{option: "tls-client-ca", value: authority(t), want: []string{
			"+http.tls.clientcas.- /etc/docker/registry/tls/clients.crt:", "+http.tls.clientauth: require-and-verify-client-cert",
		}},
		{option: "tls-min-version", value: "1.3", want: []string{"-http.tls.minimumtls: tls1.2", "+http.tls.minimumtls: tls1.3"}},
		{option: "tls-client-auth", base: clients, value: "request", want: []string{
			"-http.tls.clientauth: require-and-verify-client-cert", "+http.tls.clientauth: verify-client-cert-if-given",
		}},
	}
}

func authEffects(t *testing.T) []effect {
	token := tokenOptions(t)
	return []effect{
		{option: "auth-basic-password", value: "x", want: []string{"+auth.htpasswd.realm: docker-registry", "+auth.htpasswd.path: /etc/docker/registry/htpasswd"}},
		{option: "auth-users", value: "ci: x", want: []string{"+auth.access.realm: docker-registry", "+auth.access.users: /etc/docker/registry/htpasswd"}},
		{option: "auth-policy", base: config.Options{"auth-users": "ci: x"}, value: "ci * pull", want: []string{"+auth.access.policy: /etc/docker/registry/policy"}},
		{option: "auth-token-realm", base: token, value: "https://b", want: []string{"-auth.token.realm: https://auth.example.com/token", "+auth.token.realm: https://b"}},
		{option: "auth-token-service", base: token, value: "b", want: []string{"-auth.token.service: registry.example.com", "+auth.token.service: b"}},
		{option: "auth-token-issuer", base: token, value: "b", want: []string{"-auth.token.issuer: Example", "+auth.token.issuer: b"}},
	}
}

func mirrorEffects() []effect {
	mirror := mirrorOptions()
	return []effect{
		{option: "cache-remoteurl", value: "http://m:1", want: []string{"-storage.delete.enabled: false", "+storage.delete.enabled: true", "+proxy.remoteurl: http://m:1", "+proxy.ttl: 168h"}},
		{option: "cache-username", base: mirror, value: "b", want: []string{"-proxy.username: reader", "+proxy.username: b"}},
		{option: "cache-password", base: mirror, value: "b", want: []string{`-proxy.password: "off"`, "+proxy.password: b"}},
		{option: "cache-ttl", base: mirror, value: "90m", want: []string{"-proxy.ttl: 168h", "+proxy.ttl: 90m"}},
	}
}

func storageEffects() []effect {
	return []effect{
		{option: "storage-cache", value: "disabled", want: []string{"-storage.cache.blobdescriptor: inmemory"}},
		{option: "storage-delete", value: true, want: []string{"-storage.delete.enabled: false", "+storage.delete.enabled: true"}},
		{option: "storage-redirect-disable", value: false, want: []string{"-storage.redirect.disable: true", "+storage.redirect.disable: false"}},
		{option: "storage-read-only", value: true, want: []string{
			"-storage.maintenance.readonly.enabled: false", "-storage.maintenance.uploadpurging.enabled: true",
			"+storage.maintenance.readonly.enabled: true", "+storage.maintenance.uploadpurging.enabled: false",
		}},
	}
}

func swiftEffects() []effect {
	swift := swiftOptions()
	ids := merge(swift, config.Options{"storage-swift-tenant-id": "a", "storage-swift-trust-id": "a"})
	return []effect{
		{option: "storage-swift-authurl", base: swift, value: "http://k/v2.0", want: []string{
			"-storage.swift.authurl: https://keystone.example.com:5000/v3", "-storage.swift.authversion: 3",
			"+storage.swift.authurl: http://k/v2.0", "+storage.swift.authversion: 2",
		}},
		{option: "storage-swift-authversion", base: swift, value: 2, want: []string{"-storage.swift.authversion: 3", "+storage.swift.authversion: 2"}},
		{option: "storage-swift-username", base: swift, value: "b", want: []string{"-storage.swift.username: u", "+storage.swift.username: b"}},
		{option: "storage-swift-password", base: swift, value: "b", want: []string{`-storage.swift.password: "1e3"`, "+storage.swift.password: b"}},
		{option: "storage-swift-tenant", base: swift, value: "b", want: []string{"-storage.swift.tenant: t", "+storage.swift.tenant: b"}},
		{option: "storage-swift-tenant-id", base: ids, value: "b", want: []string{"-storage.swift.tenantid: a", "+storage.swift.tenantid: b"}},
		{option: "storage-swift-domain", base: swift, value: "", want: []string{"-storage.swift.domain: Default"}},
		{option: "storage-swift-domain-id", base: swift, value: "b", want: []string{"+storage.swift.domainid: b"}},
		{option: "storage-swift-tenant-domain", base: swift, value: "b", want: []string{"+storage.swift.tenantdomain: b"}},
		{option: "storage-swift-tenant-domain-id", base: swift, value: "b", want: []string{"+storage.swift.tenantdomainid: b"}},
		{option: "storage-swift-trust-id", base: ids, value: "b", want: []string{"-storage.swift.trustid: a", "+storage.swift.trustid: b"}},
		{option: "storage-swift-region", base: swift, value: "", want: []string{"-storage.swift.region: RegionOne"}},
		{option: "storage-swift-endpoint-type", base: swift, value: "admin", want: []string{"-storage.swift.endpointtype: public", "+storage.swift.endpointtype: admin"}},
		{option: "storage-swift-container", base: swift, value: "b", want: []string{"-storage.swift.container: docker-registry", "+storage.swift.container: b"}},
		{option: "storage-swift-prefix", base: swift, value: "b", want: []string{"+storage.swift.prefix: b"}},
		{option: "storage-swift-chunksize", base: swift, value: 1048576, want: []string{"-storage.swift.chunksize: 20971520", "+storage.swift.chunksize: 1048576"}},
		{option: "storage-swift-secretkey", base: swift, value: "b", want: []string{"+storage.swift.secretkey: b"}},
		{option: "storage-swift-username", stock: 2, base: swift, value: "b", want: []string{"-storage.swift.username: u", "+storage.swift.username: b"}},
	}
}

func redisEffects() []effect {
	base, sentinels := redisOptions(), sentinelOptions()
	return []effect{
		{option: "storage-cache", value: "redis", base: config.Options{"storage-redis-addrs": "a:1"}, want: []string{
			"-storage.cache.blobdescriptor: inmemory", "+storage.cache.blobdescriptor: redis", "+redis.addrs: ['a:1']",
			"+redis.dialtimeout: 1s", "+redis.readtimeout: 1s", "+redis.writetimeout: 1s", "+redis.maxretries: 1",
		}},
		{option: "storage-redis-addrs", base: base, value: "a:1,b:2", want: []string{"-redis.addrs: ['redis.example.com:6379']", "+redis.addrs: ['a:1', 'b:2']"}},
		{option: "storage-redis-addrs", base: base, value: "a:1", stock: 2, want: []string{"-redis.addr: redis.example.com:6379", "+redis.addr: a:1"}},
		{option: "storage-redis-username", base: sentinels, value: "b", want: []string{"-redis.username: registry", "+redis.username: b"}},
		{option: "storage-redis-password", base: base, value: "b", want: []string{"+redis.password: b"}},
		{option: "storage-redis-db", base: base, value: 2, want: []string{"+redis.db: 2"}},
		{option: "storage-redis-tls", base: base, value: true, want: []string{"+redis.tls.rootcas: [/etc/docker/registry/storage/ca.pem]"}},
		{option: "storage-redis-sentinel-master", base: base, value: "m", want: []string{"+redis.mastername: m"}},
		{option: "storage-redis-sentinel-password", base: sentinels, value: "b", want: []string{`-redis.sentinelpassword: "0x1"`, "+redis.sentinelpassword: b"}},
	}
}

func s3Effects() []effect {
	s3 := s3Options()
	ceph := config.Options{"storage-s3-bucket": "images", "storage-s3-region": "r", "storage-s3-regionendpoint": "http://ceph:7480", "storage-s3-forcepathstyle": true}
	keys := merge(s3, config.Options{"storage-s3-accesskey": "AK", "storage-s3-secretkey": "SK"})
	encrypted := merge(s3, config.Options{"storage-s3-encrypt": true})
	return []effect{
		{option: "storage-s3-bucket", base: s3, value: "b", want: []string{"-storage.s3.bucket: images", "+storage.s3.bucket: b"}},
		{option: "storage-s3-region", base: s3, value: "b", want: []string{"-storage.s3.region: eu-central-1", "+storage.s3.region: b"}},
		{option: "storage-s3-regionendpoint", base: s3, value: "http://b", want: []string{"-storage.s3.forcepathstyle: false", "+storage.s3.regionendpoint: http://b", "+storage.s3.forcepathstyle: true"}},
		{option: "storage-s3-accesskey", base: keys, value: "b", want: []string{"-storage.s3.accesskey: AK", "+storage.s3.accesskey: b"}},
		{option: "storage-s3-secretkey", base: keys, value: "b", want: []string{"-storage.s3.secretkey: SK", "+storage.s3.secretkey: b"}},
		{option: "storage-s3-rootdirectory", base: s3, value: "/b", want: []string{"+storage.s3.rootdirectory: /b"}},
		{option: "storage-s3-forcepathstyle", base: s3, value: true, want: []string{"-storage.s3.forcepathstyle: false", "+storage.s3.forcepathstyle: true"}},
		{option: "storage-s3-secure", base: s3, value: false, want: []string{"-storage.s3.secure: true", "+storage.s3.secure: false"}},
		{option: "storage-s3-skip-verify", base: s3, value: true, want: []string{"-storage.s3.skipverify: false", "+storage.s3.skipverify: true"}},
		{option: "storage-s3-skip-v4-auth", base: ceph, value: false, want: []string{"-storage.s3.v4auth: true", "+storage.s3.v4auth: false"}},
		{option: "storage-s3-encrypt", base: s3, value: true, want: []string{"-storage.s3.encrypt: false", "+storage.s3.encrypt: true"}},
		{option: "storage-s3-keyid", base: encrypted, value: "b", want: []string{"+storage.s3.keyid: b"}},
		{option: "storage-s3-storageclass", base: s3, value: "NONE", want: []string{"-storage.s3.storageclass: STANDARD", "+storage.s3.storageclass: NONE"}},
		{option: "storage-s3-objectacl", base: s3, value: "public-read", want: []string{"-storage.s3.objectacl: private", "+storage.s3.objectacl: public-read"}},
		{option: "storage-s3-useragent", base: s3, value: "b", want: []string{"+storage.s3.useragent: b"}},
		{option: "storage-s3-usedualstack", base: s3, value: true, want: []string{"-storage.s3.usedualstack: false", "+storage.s3.usedualstack: true"}},
		{option: "storage-s3-accelerate", base: s3, value: true, want: []string{"-storage.s3.accelerate: false", "+storage.s3.accelerate: true"}},
		{option: "storage-s3-chunksize", base: s3, value: 5242880, want: []string{"-storage.s3.chunksize: 10485760", "+storage.s3.chunksize: 5242880"}},
		{option: "storage-s3-multipartcopychunksize", base: s3, value: 5242880, want: []string{"-storage.s3.multipartcopychunksize: 33554432", "+storage.s3.multipartcopychunksize: 5242880"}},
		{option: "storage-s3-multipartcopymaxconcurrency", base: s3, value: 7, want: []string{"-storage.s3.multipartcopymaxconcurrency: 100", "+storage.s3.multipartcopymaxconcurrency: 7"}},
		{option: "storage-s3-multipartcopythresholdsize", base: s3, value: 0, want: []string{"-storage.s3.multipartcopythresholdsize: 33554432", "+storage.s3.multipartcopythresholdsize: 0"}},
		{option: "storage-s3-loglevel", base: s3, value: "debug", want: []string{`-storage.s3.loglevel: "off"`, "+storage.s3.loglevel: debug"}},
	}
}

func TestEffects(t *testing.T) {
	tests := slices.Concat(
		servedEffects(t), authEffects(t), mirrorEffects(), storageEffects(), redisEffects(), swiftEffects(), s3Effects(),
	)
	shown := elsewhere()
	for _, test := range tests {
		shown = append(shown, test.option)
		t.Run(test.option, func(t *testing.T) {
			before := renderEffect(t, test.stock, test.base)
			after := renderEffect(t, test.stock, merge(test.base, config.Options{test.option: test.value}))
			if diff := cmp.Diff(test.want, changes(before, after)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name := range declared(t) {
		if registryOption(name) && !slices.Contains(shown, name) {
			t.Errorf("option %q has no test of what it changes", name)
		}
	}
}

// renderEffect serves TLS, so that options of mutual TLS have an effect.
func renderEffect(t *testing.T, stock int, options config.Options) string {
	t.Helper()
	in := input(t, options)
	in.TLS, in.Stock = served(), stock
	text, err := Render(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func registryOption(name string) bool {
	for _, prefix := range []string{"registry-", "http-", "debug-", "prometheus-", "log-", "tls-", "auth-", "cache-", "storage-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
