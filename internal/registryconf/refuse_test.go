package registryconf

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"docker-registry-operator/internal/config"
)

func TestRenderRefusesOptions(t *testing.T) {
	clients := config.Options{"tls-client-ca": authority(t)}
	tests := []struct {
		name    string
		options config.Options
		stock   int
		tls     bool
		want    string
	}{
		{name: "Swift, version 3", options: swiftOptions(), stock: 3,
			want: `option "storage-swift-authurl": a registry image of version 3 does not serve Swift; reset "registry-image", the built-in registry serves it`},
		{name: "storage class, version 2", options: merge(s3Options(), config.Options{"storage-s3-storageclass": "GLACIER_IR"}), stock: 2,
			want: `option "storage-s3-storageclass": must be NONE, STANDARD, REDUCED_REDUNDANCY with a registry image of version 2`},
		{name: "old signatures and redirects", options: merge(fullS3Options(), config.Options{"storage-redirect-disable": false}),
			want: `option "storage-redirect-disable": must be true unless "storage-s3-skip-v4-auth" is: URLs for clients cannot be signed by version 2`},
		{name: "Redis, version 2", options: sentinelOptions(), stock: 2,
			want: `option "storage-redis-addrs": must be one address with a registry image of version 2; ` +
				`option "storage-redis-sentinel-master": must be empty with a registry image of version 2; ` +
				`option "storage-redis-tls": must be false with a registry image of version 2; ` +
				`option "storage-redis-username": must be empty with a registry image of version 2`},
		{name: "clients' certificates over HTTP", options: clients,
			want: `option "tls-client-ca": must be empty unless the registry has a certificate`},
		{name: "optional certificates, version 2", options: merge(clients, config.Options{"tls-client-auth": "request"}), stock: 2, tls: true,
			want: `option "tls-client-auth": must be "require" with a registry image of version 2`},
		{name: "rules, version 3", options: config.Options{"auth-policy": "anonymous * pull"}, stock: 3,
			want: `option "auth-policy": a registry image of version 3 knows no rules; reset "registry-image", the built-in registry does, or reset this option`},
		{name: "lifetime, version 2", options: merge(mirrorOptions(), config.Options{"cache-ttl": "0"}), stock: 2,
			want: `option "cache-ttl": must be "168h" with a registry image of version 2`},
		{name: "in the order of options", stock: 3, options: merge(clients, swiftOptions(), overlaid("foo: 1\nversion: 0.1")),
			want: `option "registry-config": key "foo" is not known to a registry image of version 3; ` +
				`option "registry-config": key "version" must be left out: the charm sets it; ` +
				`option "storage-swift-authurl": a registry image of version 3 does not serve Swift; reset "registry-image", the built-in registry serves it; ` +
				`option "tls-client-ca": must be empty unless the registry has a certificate`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := input(t, test.options)
			in.Stock = test.stock
			if test.tls {
				in.TLS = served()
			}
			checkRefused(t, in, test.want)
		})
	}
}

func checkRefused(t *testing.T, in Input, want string) {
	t.Helper()
	text, err := Render(in)
	if got := fmt.Sprint(err); got != want {
		t.Errorf("error is\n  %s\nwant\n  %s", got, want)
	}
	var problems config.Problems
	if !errors.As(err, &problems) {
		t.Errorf("error is a %T", err)
	}
	if text != nil || strings.Contains(fmt.Sprint(err), "hunter2") {
		t.Error("refused, but with a configuration or a secret")
	}
}

// conflict is an overlay that is refused, with the error behind
// `option "registry-config": key `.
type conflict struct {
	overlay string
	options config.Options
	stock   int
	want    string
}

func checkConflicts(t *testing.T, tests []conflict) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.overlay, func(t *testing.T) {
			in := input(t, merge(test.options, overlaid(test.overlay)))
			in.Stock = test.stock
			checkRefused(t, in, `option "registry-config": key `+test.want)
		})
	}
}

func TestOverlayRefusesHTTP(t *testing.T) {
	checkConflicts(t, []conflict{
		{overlay: "log: {level: debug}", want: `"log.level" must be left out: set option "log-level" instead`},
		{overlay: "loglevel: debug", want: `"loglevel" is not known to the built-in registry`},
		{overlay: "http: {addr: ':80'}", want: `"http.addr" must be left out: set option "registry-port" instead`},
		{overlay: "http: {net: unix}", want: `"http.net" must be left out: the charm sets it`},
		{overlay: "http: {host: 'https://hunter2@x'}", want: `"http.host" must be left out: set option "http-host" instead`},
		{overlay: "http: {prefix: /x/}", want: `"http.prefix" must be left out: the registry is served at /v2/`},
		{overlay: "http: {secret: hunter2}", want: `"http.secret" must be left out: all units share one that the charm makes`},
		{overlay: "http: {debug: {prometheus: {path: /x}}}", want: `"http.debug" must be left out: set the options "debug-port" and "prometheus-metrics" instead`},
		{overlay: "http: {tls: {certificate: /a}}", want: `"http.tls.certificate" must be left out: set the options "tls-cert-blob" and "tls-key-blob" instead`},
		{overlay: "http: {tls: {key: /a}}", want: `"http.tls.key" must be left out: set the options "tls-cert-blob" and "tls-key-blob" instead`},
		{overlay: "http: {tls: {clientcas: [/a]}}", want: `"http.tls.clientcas" must be left out: set option "tls-client-ca" instead`},
		{overlay: "http: {tls: {clientauth: x}}", want: `"http.tls.clientauth" must be left out: set option "tls-client-auth" instead`},
		{overlay: "http: {tls: {letsencrypt: {email: a}}}", want: `"http.tls.letsencrypt" must be left out: relate the charm to a provider of certificates`},
		{overlay: "http: [hunter2]", want: `"http" must be a mapping`},
		{overlay: "http: {headers: hunter2}", want: `"http.headers" must be a mapping`},
		{overlay: "http:", want: `"http" must have a value`},
	})
}

func TestOverlayRefusesAuthAndProxy(t *testing.T) {
	checkConflicts(t, []conflict{
		{overlay: "auth: {none: {}}", want: `"auth" must be left out: set the options "auth-basic-*", "auth-users" and "auth-policy", or "auth-token-*" instead`},
		{overlay: "auth: {silly: {}}", options: tokenOptions(t), want: `"auth.silly" must be left out: the options "auth-token-*" are set`},
		{overlay: "auth: {token: {realm: x}}", options: tokenOptions(t), want: `"auth.token.realm" must be left out: set option "auth-token-realm" instead`},
		{overlay: "auth: {token: {service: x}}", options: tokenOptions(t), want: `"auth.token.service" must be left out: set option "auth-token-service" instead`},
		{overlay: "auth: {token: {issuer: x}}", options: tokenOptions(t), want: `"auth.token.issuer" must be left out: set option "auth-token-issuer" instead`},
		{overlay: "auth: {token: {rootcertbundle: x}}", options: tokenOptions(t), want: `"auth.token.rootcertbundle" must be left out: set option "auth-token-root-certs" instead`},
		{overlay: "proxy: {ttl: 1h}", want: `"proxy" must be left out: set option "cache-remoteurl" instead`},
		{overlay: "proxy: {remoteurl: x}", options: mirrorOptions(), want: `"proxy.remoteurl" must be left out: set option "cache-remoteurl" instead`},
		{overlay: "proxy: {username: x}", options: mirrorOptions(), want: `"proxy.username" must be left out: set option "cache-username" instead`},
		{overlay: "proxy: {password: hunter2}", options: mirrorOptions(), want: `"proxy.password" must be left out: set option "cache-password" instead`},
		{overlay: "proxy: {ttl: 1h}", options: mirrorOptions(), want: `"proxy.ttl" must be left out: set option "cache-ttl" instead`},
	})
}

func TestOverlayRefusesStorage(t *testing.T) {
	checkConflicts(t, []conflict{
		{overlay: "storage: {delete: {enabled: true}}", want: `"storage.delete" must be left out: set option "storage-delete" instead`},
		{overlay: "storage: {redirect: {disable: true}}", want: `"storage.redirect" must be left out: set option "storage-redirect-disable" instead`},
		{overlay: "storage: {maintenance: {readonly: {enabled: true}}}", want: `"storage.maintenance.readonly" must be left out: set option "storage-read-only" instead`},
		{overlay: "storage: {filesystem: {rootdirectory: /x}}", want: `"storage.filesystem.rootdirectory" must be left out: it is always /srv/registry`},
		{overlay: "storage: {cache: {blobdescriptor: inmemory}}", want: `"storage.cache.blobdescriptor" must be left out: set option "storage-cache" instead`},
		{overlay: "storage: {cache: {layerinfo: redis}}", want: `"storage.cache.layerinfo" must be left out: set option "storage-cache" instead`},
		{overlay: "storage: {cache: {blobdescriptor: redis}}", want: `"storage.cache.blobdescriptor" must come with "redis.addrs"`},
		{overlay: "storage: {cache: {blobdescriptor: redis}}", stock: 2, want: `"storage.cache.blobdescriptor" must come with "redis.addr"`},
		{overlay: "storage: {cache: {blobdescriptor: redis}}", options: redisOptions(), want: `"storage.cache.blobdescriptor" must be left out: set option "storage-cache" instead`},
		{overlay: "redis: {addrs: [a]}", options: redisOptions(), want: `"redis.addrs" must be left out: set option "storage-redis-addrs" instead`},
		{overlay: "redis: {addr: a}", options: redisOptions(), stock: 2, want: `"redis.addr" must be left out: set option "storage-redis-addrs" instead`},
		{overlay: "redis: {password: hunter2}", options: redisOptions(), want: `"redis.password" must be left out: set option "storage-redis-password" instead`},
		{overlay: "redis: {mastername: m}", options: redisOptions(), want: `"redis.mastername" must be left out: set option "storage-redis-sentinel-master" instead`},
		{overlay: "redis: {sentinelpassword: hunter2}", options: redisOptions(), want: `"redis.sentinelpassword" must be left out: set option "storage-redis-sentinel-password" instead`},
		{overlay: "redis: {tls: {rootcas: [/a]}}", options: redisOptions(), want: `"redis.tls.rootcas" must be left out: set option "storage-ca-blob" instead`},
		{overlay: "storage: hunter2", want: `"storage" must be a mapping`},
		{overlay: "storage: {s3: {bucket: b}}", want: `"storage.s3" must be left out: set the options "storage-s3-*" instead`},
		{overlay: "storage: {s3aws: {bucket: b}}", want: `"storage.s3aws" must be left out: set the options "storage-s3-*" instead`},
		{overlay: "storage: {swift: {}}", want: `"storage.swift" must be left out: set the options "storage-swift-*" instead`},
		{overlay: "storage: {inmemory: {}}", want: `"storage.inmemory" is not a storage backend of the built-in registry: it has azure, filesystem, gcs, s3, swift`},
		{overlay: "storage: {oss: {}}", stock: 3, want: `"storage.oss" is not a storage backend of a registry image of version 3: it has azure, filesystem, gcs, s3`},
		{overlay: "storage: {azure: {accountkey: hunter2}}", options: s3Options(), want: `"storage.azure" must be left out, or the options "storage-s3-*": there can be one storage backend`},
		{overlay: "storage: {azure: {}}", options: swiftOptions(), stock: 2, want: `"storage.azure" must be left out, or the options "storage-swift-*": there can be one storage backend`},
		{overlay: "storage: {azure: {}, gcs: {}}", want: `"storage.gcs" must be left out, or "storage.azure": there can be one storage backend`},
		{overlay: "storage: {azure: {}, filesystem: {}}", want: `"storage.filesystem" must be left out, or "storage.azure": there can be one storage backend`},
		{overlay: "storage: {s3: {v4auth: false}}", options: s3Options(), want: `"storage.s3.v4auth" must be left out: set option "storage-s3-skip-v4-auth" instead`},
		{overlay: "storage: {s3: {secretkey: hunter2}}", options: s3Options(), want: `"storage.s3.secretkey" must be left out: set option "storage-s3-secretkey" instead`},
		{overlay: "storage: {swift: {domain: d}}", options: swiftOptions(), stock: 2, want: `"storage.swift.domain" must be left out: set option "storage-swift-domain" instead`},
	})
}

func TestOverlayRefusesVersions(t *testing.T) {
	checkConflicts(t, []conflict{
		{overlay: "redis: {addr: 'a:1'}", want: `"redis.addr" must be left out: version 3 takes "redis.addrs", a list`},
		{overlay: "redis: {pool: {}}", stock: 3, want: `"redis.pool" must be left out: version 3 takes "redis.poolsize" and the like`},
		{overlay: "redis: {addrs: ['a:1']}", stock: 2, want: `"redis.addrs" must be left out: version 2 takes "redis.addr"`},
		{overlay: "tags: {maxtags: 1}", stock: 2, want: `"tags" is not known to a registry image of version 2`},
		{overlay: "reporting: {}", stock: 3, want: `"reporting" is not known to a registry image of version 3`},
		{overlay: "http: {h2c: {enabled: true}}", stock: 2, want: `"http.h2c" is not known to version 2`},
		{overlay: "proxy: {exec: {command: x}}", options: mirrorOptions(), stock: 2, want: `"proxy.exec" is not known to version 2`},
		{overlay: "health: {tcp: [{addr: 'a:1', adr: hunter2}]}", want: `"health.tcp.adr" is not known to the built-in registry`},
		{overlay: "notifications: {endpoint: []}", want: `"notifications.endpoint" is not known to the built-in registry`},
		{overlay: "notifications: {endpoints: [{name: a, threshold: hunter2}]}", want: `"notifications.endpoints.threshold" has a value of the wrong kind`},
		{overlay: "catalog: {maxentries: hunter2}", stock: 3, want: `"catalog.maxentries" has a value of the wrong kind`},
		{overlay: "health: {storagedriver: {interval: hunter2}}", want: `"health.storagedriver.interval" has a value of the wrong kind`},
		{overlay: "http: {http2: {disabled: 'on'}}", want: `"http.http2.disabled" has a value of the wrong kind`},
		{overlay: "storage: {azure: hunter2}", want: `"storage.azure" must be a mapping`},
	})
}

func TestRenderRefusesValues(t *testing.T) {
	in := input(t, overlaid("validation: {manifests: {indexes: {platforms: hunter2}}}"))
	checkRefused(t, in, `option "registry-config": has a value that the built-in registry does not take`)
}

// A key that the rendered configuration has and no rule protects can be set by the
// overlay; each of these was left open on purpose.
func TestOpenKeys(t *testing.T) {
	for _, overlay := range []string{
		"http: {relativeurls: false}",
		"http: {draintimeout: 5s}",
		"http: {draintimeout: 0}",
		"http: {http2: {disabled: on}}",
		"http: {tls: {ciphersuites: [TLS_AES_128_GCM_SHA256]}}",
		"log: {formatter: text, fields: {a: b}}",
		"health: {storagedriver: {enabled: false}}",
		"storage: {cache: {blobdescriptorsize: 5}}",
		"storage: {tag: {concurrencylimit: 5}}",
		"middleware: {storage: [{name: redirect, options: {baseurl: 'https://x'}}]}",
		"catalog: {maxentries: 5}",
		"policy: {repository: {classes: [image]}}",
		"validation: {disabled: true}",
	} {
		t.Run(overlay, func(t *testing.T) {
			text, err := Render(input(t, overlaid(overlay)))
			if err != nil {
				t.Fatal(err)
			}
			parsedBack(t, text, 0)
		})
	}
}
