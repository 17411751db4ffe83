package config

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// refusal is a change of the defaults that Parse refuses, with the whole error. What
// is secret in it holds "hunter2".
type refusal struct {
	name string
	in   Options
	want string
}

func checkRefusals(t *testing.T, tests []refusal) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse(with(t, test.in))
			if got := fmt.Sprint(err); got != test.want {
				t.Errorf("error is\n  %s\nwant\n  %s", got, test.want)
			}
			var problems Problems
			if !errors.As(err, &problems) {
				t.Errorf("error is a %T", err)
			}
			if strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Error("error holds a secret")
			}
		})
	}
}

func TestParseRefusesTogether(t *testing.T) {
	checkRefusals(t, []refusal{
		{"several at once", Options{"storage-cache": "disk", "log-level": "loud", "registry-port": 0},
			`option "log-level": must be error, warn, info or debug; ` +
				`option "registry-port": must be a whole number from 1 to 65535; ` +
				`option "storage-cache": must be inmemory, redis or disabled`},
	})
}

func TestParseRefusesTypes(t *testing.T) {
	checkRefusals(t, []refusal{
		{"type of a text", Options{"registry-name": 5}, `option "registry-name": must be text; option "registry-name": must be 2 to 128 letters, digits, dots, hyphens and underscores, the first a letter or a digit`},
		{"type of a flag", Options{"storage-delete": "yes"}, `option "storage-delete": must be true or false`},
		{"type of a number", Options{"debug-port": "5001"}, `option "debug-port": must be a whole number from 1 to 65535`},
		{"fraction", Options{"debug-port": 1.5}, `option "debug-port": must be a whole number from 1 to 65535`},
		{"control character", Options{"storage-swift-region": "a\x00b"}, `option "storage-swift-region": must not contain line breaks or other control characters`},
		{"not UTF-8", Options{"no_proxy": "a\xff"}, `option "no_proxy": must not contain line breaks or other control characters`},

		{"registry-port above", Options{"registry-port": 65536}, `option "registry-port": must be a whole number from 1 to 65535`},
		{"debug-port below", Options{"debug-port": -1}, `option "debug-port": must be a whole number from 1 to 65535`},
		{"equal ports", Options{"registry-port": 5001}, `option "debug-port": must differ from "registry-port"`},
	})
}

func TestParseRefusesURLs(t *testing.T) {
	checkRefusals(t, []refusal{
		{"http-host without a scheme", Options{"http-host": "r.example.com:5000"},
			`option "http-host": has no scheme: type "https://r.example.com:5000" or "http://r.example.com:5000"`},
		{"http-host with a user and no scheme", Options{"http-host": "u:hunter2@r"}, `option "http-host": must be a URL such as "https://registry.example.com"`},
		{"http-host of another scheme", Options{"http-host": "ftp://r"}, `option "http-host": must start with https:// or http://`},
		{"http-host without a host", Options{"http-host": "https:///x"}, `option "http-host": must have a host name or an address after ://`},
		{"http-host with a bad port", Options{"http-host": "https://r:99999"}, `option "http-host": must have a port from 1 to 65535`},
		{"http-host with an empty port", Options{"http-host": "https://r:"}, `option "http-host": must have a port from 1 to 65535`},
		{"http-host that is no URL", Options{"http-host": "https://r:x:y"}, `option "http-host": must be a URL such as "https://registry.example.com"`},
		{"http-host with a query", Options{"http-host": "https://r/?a=b"}, `option "http-host": must end after the path, without ? or #`},
		{"http-host with a user", Options{"http-host": "https://u:hunter2@r"}, `option "http-host": must not hold a user name or password`},
	})
}

func TestParseRefusesContainer(t *testing.T) {
	checkRefusals(t, []refusal{
		{"registry-name", Options{"registry-name": "/registry"}, `option "registry-name": must be 2 to 128 letters, digits, dots, hyphens and underscores, the first a letter or a digit`},
		{"registry-image", Options{"registry-image": "Registry:2"}, `option "registry-image": must be an image such as "registry:2" or "ghcr.io/example/registry:3": invalid reference format: repository name (library/Registry) must be lowercase`},
		{"registry-image with native", Options{"registry-image": "registry:2", "registry-runtime": "native"}, `option "registry-image": must be empty when "registry-runtime" is native`},
		{"registry-runtime", Options{"registry-runtime": "podman"}, `option "registry-runtime": must be docker or native`},
		{"registry-http-proxy", Options{"registry-http-proxy": "ftp://u:hunter2@p"}, `option "registry-http-proxy": must be a URL such as "http://proxy.example.com:3128"`},
		{"registry-https-proxy", Options{"registry-https-proxy": "http://u:hunter2@"}, `option "registry-https-proxy": must be a URL such as "http://proxy.example.com:3128"`},
	})
}

func TestParseRefusesOverlays(t *testing.T) {
	checkRefusals(t, []refusal{
		{"registry-config that is no YAML", Options{"registry-config": "a: b\nc: 'hunter2"}, `option "registry-config": is not valid YAML, line 2`},
		{"registry-config with an alias", Options{"registry-config": "a: *hunter2"}, `option "registry-config": is not valid YAML`},
		{"registry-config with a key twice", Options{"registry-config": "a: 1\na: hunter2"}, `option "registry-config": is not valid YAML, line 2`},
		{"registry-config that is a list", Options{"registry-config": "[hunter2]"}, `option "registry-config": must be a YAML mapping such as "notifications: {...}"`},
		{"registry-config with a truth value as a key", Options{"registry-config": "http: {on: hunter2}"}, `option "registry-config": must have texts as keys; put quotes around the others`},
		{"registry-config with a number as a key", Options{"registry-config": "http: [{5: hunter2}]"}, `option "registry-config": must have texts as keys; put quotes around the others`},
	})
}

func TestParseRefusesTLS(t *testing.T) {
	mine, other := newPair(t, "mine"), newPair(t, "other")
	cert, key := base64Of(mine.cert), base64Of(mine.key)
	checkRefusals(t, []refusal{
		{"tls-cert-blob that is not base64", Options{"tls-cert-blob": "hunter2!", "tls-key-blob": key}, `option "tls-cert-blob": is not base64: type tls-cert-blob="$(base64 -w0 FILE)"`},
		{"tls-key-blob that is PEM", Options{"tls-cert-blob": cert, "tls-key-blob": string(mine.key)}, `option "tls-key-blob": is PEM itself: type tls-key-blob="$(base64 -w0 FILE)"`},
		{"tls-cert-blob that is not PEM", Options{"tls-cert-blob": base64Of([]byte("hunter2")), "tls-key-blob": key}, `option "tls-cert-blob": must be PEM, starting with -----BEGIN CERTIFICATE-----`},
		{"tls-key-blob that does not match", Options{"tls-cert-blob": cert, "tls-key-blob": base64Of(other.key)}, `option "tls-key-blob": cannot be used with the certificate: private key does not match public key`},
		{"tls-ca-blob that is a key", Options{"tls-cert-blob": cert, "tls-key-blob": key, "tls-ca-blob": key}, `option "tls-ca-blob": must hold a certificate, but its PEM has none`},
		{"tls-cert-blob alone", Options{"tls-cert-blob": cert}, `option "tls-key-blob": must be set together with "tls-cert-blob"`},
		{"tls-key-blob alone", Options{"tls-key-blob": key}, `option "tls-cert-blob": must be set together with "tls-key-blob"`},
		{"tls-ca-blob alone", Options{"tls-ca-blob": cert}, `option "tls-cert-blob": must be set together with "tls-key-blob"; option "tls-key-blob": must be set together with "tls-cert-blob"`},
		{"tls-cert-path relative", Options{"tls-cert-path": "registry.crt"}, `option "tls-cert-path": must be the absolute path of a file`},
		{"tls-key-path of a directory", Options{"tls-key-path": "/etc/ssl/"}, `option "tls-key-path": must be the absolute path of a file`},
		{"website-tls", Options{"website-tls": "terminate"}, `option "website-tls": must be passthrough or reencrypt`},
		{"a proxy without an authority", Options{"website-tls": "reencrypt", "tls-ca-path": ""}, `option "tls-ca-path": must be set with "website-tls" reencrypt: where the proxy has the registry's authority`},
		{"an authority that a proxy cannot name", Options{"website-tls": "reencrypt", "tls-ca-path": "/a, b]"}, `option "tls-ca-path": must not contain blanks, quotes, brackets, commas or colons with "website-tls" reencrypt`},
		{"tls-ca-path of the charm", Options{"tls-ca-path": "/etc/docker/registry/x/../htpasswd"}, `option "tls-ca-path": must not be a file that the charm writes for the registry: /etc/docker/registry/htpasswd`},
		{"tls-cert-path of the served copy", Options{"tls-cert-path": "/etc/docker/registry/tls/x.crt"}, `option "tls-cert-path": must not be a file that the charm writes for the registry: /etc/docker/registry/tls/x.crt`},
		{"blobs without a path", Options{"tls-cert-blob": cert, "tls-key-blob": key, "tls-cert-path": ""}, `option "tls-cert-path": must be set: the certificate of the tls-*-blob options is written there`},
		{"blobs on one path", Options{"tls-cert-blob": cert, "tls-key-blob": key, "tls-key-path": "/etc/docker/registry/registry.crt"}, `option "tls-key-path": must differ from "tls-cert-path"`},
		{"blobs and a relative path", Options{"tls-cert-blob": cert, "tls-key-blob": key, "tls-key-path": "x"}, `option "tls-key-path": must be the absolute path of a file`},
		{"tls-client-ca", Options{"tls-client-ca": key}, `option "tls-client-ca": must hold a certificate, but its PEM has none`},
		{"tls-client-auth", Options{"tls-client-auth": "maybe"}, `option "tls-client-auth": must be require or request`},
	})
}

func TestParseRefusesAuth(t *testing.T) {
	mine := newPair(t, "mine")
	cert := base64Of(mine.cert)
	checkRefusals(t, []refusal{
		{"password too long", Options{"auth-basic-password": strings.Repeat("ä", 37)}, `option "auth-basic-password": must not be longer than 72 bytes`},
		{"password from a file", Options{"auth-basic-password": "hunter2\n"}, `option "auth-basic-password": must not contain control characters, such as a line break at its end`},
		{"no user", Options{"auth-basic-password": "hunter2", "auth-basic-user": ""}, `option "auth-basic-user": must be set together with "auth-basic-password"`},
		{"user with a colon", Options{"auth-basic-password": "hunter2", "auth-basic-user": "a:b"}, `option "auth-basic-user": must not contain a colon`},
		{"user with a blank", Options{"auth-basic-password": "hunter2", "auth-basic-user": "a b"}, `option "auth-basic-user": must not contain blanks, line breaks or other control characters`},
		{"user of a comment", Options{"auth-basic-password": "hunter2", "auth-basic-user": "#a"}, `option "auth-basic-user": must not start with #, which makes a line of a password file a comment`},
		{"half a token set", Options{"auth-token-realm": "https://a", "auth-token-issuer": "i"},
			`option "auth-token-root-certs": must be set for token authentication, together with "auth-token-realm", "auth-token-issuer"; ` +
				`option "auth-token-service": must be set for token authentication, together with "auth-token-realm", "auth-token-issuer"`},
		{"token realm", Options{"auth-token-realm": "myorg", "auth-token-issuer": "i", "auth-token-service": "s", "auth-token-root-certs": cert},
			`option "auth-token-realm": has no scheme: type "https://myorg" or "http://myorg"`},
		{"token certificates", Options{"auth-token-realm": "https://a", "auth-token-issuer": "i", "auth-token-service": "s", "auth-token-root-certs": "eA=="},
			`option "auth-token-root-certs": must be PEM, starting with -----BEGIN CERTIFICATE-----`},
		{"token and basic", Options{"auth-basic-password": "hunter2", "auth-token-realm": "https://a", "auth-token-issuer": "i", "auth-token-service": "s", "auth-token-root-certs": cert},
			`option "auth-basic-password": must be empty when the auth-token-* options are set: the registry takes one kind of authentication`},
	})
}

func TestParseRefusesMirrors(t *testing.T) {
	checkRefusals(t, []refusal{
		{"cache-remoteurl", Options{"cache-remoteurl": "docker.io"}, `option "cache-remoteurl": has no scheme: type "https://docker.io" or "http://docker.io"`},
		{"half of the cache's credentials", Options{"cache-remoteurl": "https://m", "cache-username": "u"}, `option "cache-password": must be set for the credentials of a pull-through cache, together with "cache-username"`},
		{"cache-ttl", Options{"cache-ttl": "7d"}, `option "cache-ttl": must be a duration such as "168h" or "90m", or "0" to keep everything`},
		{"no lifetime", Options{"cache-ttl": ""}, `option "cache-ttl": must be a duration such as "168h" or "90m", or "0" to keep everything`},
		{"a lifetime that is over", Options{"cache-ttl": "-1h"}, `option "cache-ttl": must be a duration such as "168h" or "90m", or "0" to keep everything`},
		{"a lifetime of nothing", Options{"cache-ttl": "0h"}, `option "cache-ttl": must be a duration such as "168h" or "90m", or "0" to keep everything`},
		{"a lifetime of centuries", Options{"cache-ttl": "1000000h"}, `option "cache-ttl": must be a duration such as "168h" or "90m", or "0" to keep everything`},
		{"a lifetime on two lines", Options{"cache-ttl": "1\nh"}, `option "cache-ttl": must not contain line breaks or other control characters`},
		{"credentials without a cache", Options{"cache-username": "u", "cache-password": "hunter2"}, `option "cache-remoteurl": must be set together with "cache-username" and "cache-password"`},
	})
}

func TestParseRefusesAuthorities(t *testing.T) {
	mine := newPair(t, "mine")
	checkRefusals(t, []refusal{
		{"no base64", Options{"storage-ca-blob": "hunter2!"}, `option "storage-ca-blob": is not base64: type storage-ca-blob="$(base64 -w0 FILE)"`},
		{"PEM itself", Options{"storage-ca-blob": string(mine.cert)}, `option "storage-ca-blob": is PEM itself: type storage-ca-blob="$(base64 -w0 FILE)"`},
		{"no PEM", Options{"storage-ca-blob": base64Of([]byte("hunter2"))}, `option "storage-ca-blob": must be PEM, starting with -----BEGIN CERTIFICATE-----`},
		{"a key", Options{"storage-ca-blob": base64Of(mine.key)}, `option "storage-ca-blob": must hold a certificate, but its PEM has none`},
		{"a path of the charm", Options{"tls-ca-path": "/etc/docker/registry/storage/ca.pem"}, `option "tls-ca-path": must not be a file that the charm writes for the registry: /etc/docker/registry/storage/ca.pem`},
	})
}

func TestParseRefusesRedis(t *testing.T) {
	const form = `option "storage-redis-addrs": must be host:port such as "redis.example.com:6379" or "[2001:db8::1]:6379", several separated by commas: number `
	checkRefusals(t, []refusal{
		{"no address", redis(Options{"storage-redis-addrs": " , "}), `option "storage-redis-addrs": must be set when "storage-cache" is redis`},
		{"no port", redis(Options{"storage-redis-addrs": "a:1,b"}), form + "2 is not"},
		{"a URL", redis(Options{"storage-redis-addrs": "redis://a:1"}), form + "1 is not"},
		{"a password", redis(Options{"storage-redis-addrs": "u:hunter2@a:1"}), form + "1 is not"},
		{"a path", redis(Options{"storage-redis-addrs": "a:1/2"}), form + "1 is not"},
		{"port of none", redis(Options{"storage-redis-addrs": "a:65536"}), form + "1 is not"},
		{"IPv6 without brackets", redis(Options{"storage-redis-addrs": "2001:db8::1:6379"}), form + "1 is not"},
		{"wrong, though not used", Options{"storage-redis-addrs": "a"}, form + "1 is not"},
		{"user without a password", redis(Options{"storage-redis-username": "u"}), `option "storage-redis-password": must be set together with "storage-redis-username"`},
		{"password with a line break", redis(Options{"storage-redis-username": "u", "storage-redis-password": "hunter2\n"}),
			`option "storage-redis-password": must not contain control characters, such as a line break at its end`},
		{"database below", redis(Options{"storage-redis-db": -1}), `option "storage-redis-db": must be a whole number from 0 to 2147483647`},
		{"database of a cluster", redis(Options{"storage-redis-addrs": "a:1,b:1", "storage-redis-db": 1}),
			`option "storage-redis-db": must be 0 for a cluster, which several "storage-redis-addrs" are without "storage-redis-sentinel-master"`},
		{"TLS", redis(Options{"storage-redis-tls": "yes"}), `option "storage-redis-tls": must be true or false`},
		{"no sentinels", redis(Options{"storage-redis-sentinel-password": "hunter2"}), `option "storage-redis-sentinel-password": must be empty unless "storage-redis-sentinel-master" is set`},
	})
}

func TestParseRefusesSwift(t *testing.T) {
	v2 := func(more Options) Options {
		options := keystone(Options{"storage-swift-authurl": "https://k/v2.0", "storage-swift-password": "hunter2"})
		maps.Copy(options, more)
		return options
	}
	checkRefusals(t, []refusal{
		{"Swift half set", Options{"storage-swift-authurl": "https://k/v3", "storage-swift-username": "u"},
			`option "storage-swift-password": must be set for Swift, together with "storage-swift-authurl", "storage-swift-username"; ` +
				`option "storage-swift-tenant": must be set, or "storage-swift-tenant-id" or "storage-swift-trust-id", for version 3 of authentication`},
		{"no tenant", v2(Options{"storage-swift-tenant": ""}), `option "storage-swift-tenant": must be set, or "storage-swift-tenant-id", for version 2 of authentication`},
		{"tenant alone", Options{"storage-swift-tenant": "t"}, `option "storage-swift-authurl": must be set together with "storage-swift-tenant"`},
		{"tenant's ID alone", Options{"storage-swift-tenant-id": "t"}, `option "storage-swift-authurl": must be set together with "storage-swift-tenant-id"`},
		{"trust alone", Options{"storage-swift-trust-id": "t"}, `option "storage-swift-authurl": must be set together with "storage-swift-trust-id"`},
		{"no container", v2(Options{"storage-swift-container": ""}), `option "storage-swift-container": must be set together with "storage-swift-authurl"`},
		{"container's name", v2(Options{"storage-swift-container": "a/b"}), `option "storage-swift-container": must be a container's name: at most 256 bytes, and no slash`},
		{"URL", v2(Options{"storage-swift-authurl": "k"}), `option "storage-swift-authurl": has no scheme: type "https://k" or "http://k"`},
		{"URL without a version", v2(Options{"storage-swift-authurl": "https://v3.example.com/identity"}),
			`option "storage-swift-authversion": must be 1, 2 or 3, because "storage-swift-authurl" does not tell: it has no part such as "/v3"`},
		{"version", v2(Options{"storage-swift-authversion": 4}), `option "storage-swift-authversion": must be a whole number from 0 to 3`},
		{"what version 2 does not have", v2(Options{
			"storage-swift-domain-id": "d", "storage-swift-tenant-domain": "d", "storage-swift-tenant-domain-id": "d", "storage-swift-trust-id": "x",
		}), `option "storage-swift-domain-id": must be empty with version 2 of authentication; version 3 has it; ` +
			`option "storage-swift-tenant-domain": must be empty with version 2 of authentication; version 3 has it; ` +
			`option "storage-swift-tenant-domain-id": must be empty with version 2 of authentication; version 3 has it; ` +
			`option "storage-swift-trust-id": must be empty with version 2 of authentication; version 3 has it`},
		{"endpoint", Options{"storage-swift-endpoint-type": "private"}, `option "storage-swift-endpoint-type": must be public, internal or admin`},
		{"segments too small", Options{"storage-swift-chunksize": 1<<20 - 1}, `option "storage-swift-chunksize": must be a whole number from 1048576 to 5368709120`},
		{"password with a line break", v2(Options{"storage-swift-password": "hunter2\n"}), `option "storage-swift-password": must not contain control characters, such as a line break at its end`},
		{"key with a line break", v2(Options{"storage-swift-secretkey": "hunter2\n"}), `option "storage-swift-secretkey": must not contain control characters, such as a line break at its end`},
	})
}

func TestParseRefusesS3(t *testing.T) {
	checkRefusals(t, []refusal{
		{"bucket without a region", Options{"storage-s3-bucket": "b"}, `option "storage-s3-region": must be set together with "storage-s3-bucket", unless "storage-s3-regionendpoint" is set`},
		{"region without a bucket", Options{"storage-s3-region": "r"}, `option "storage-s3-bucket": must be set together with "storage-s3-region"`},
		{"keys without a bucket", Options{"storage-s3-accesskey": "AK", "storage-s3-secretkey": "hunter2"}, `option "storage-s3-bucket": must be set together with "storage-s3-accesskey"`},
		{"access key alone", Options{"storage-s3-bucket": "b", "storage-s3-region": "r", "storage-s3-accesskey": "AK"}, `option "storage-s3-secretkey": must be set together with "storage-s3-accesskey"`},
		{"secret key alone", Options{"storage-s3-bucket": "b", "storage-s3-region": "r", "storage-s3-secretkey": "hunter2"}, `option "storage-s3-accesskey": must be set together with "storage-s3-secretkey"`},
		{"secret key with a line break", Options{"storage-s3-bucket": "b", "storage-s3-region": "r", "storage-s3-accesskey": "AK", "storage-s3-secretkey": "hunter2\n"},
			`option "storage-s3-secretkey": must not contain control characters, such as a line break at its end`},
		{"bucket's name", Options{"storage-s3-bucket": "s3://b", "storage-s3-region": "r"}, `option "storage-s3-bucket": must be a bucket's name: letters, digits, dots, hyphens and underscores`},
		{"region's name", Options{"storage-s3-bucket": "b", "storage-s3-region": "EU (Frankfurt)"}, `option "storage-s3-region": must be a region's name such as "eu-central-1"`},
		{"endpoint", Options{"storage-s3-bucket": "b", "storage-s3-regionendpoint": "s3://x"}, `option "storage-s3-regionendpoint": must be a URL such as "https://s3.example.com:9000"`},
		{"endpoint with credentials", Options{"storage-s3-bucket": "b", "storage-s3-regionendpoint": "https://u:hunter2@x"}, `option "storage-s3-regionendpoint": must not hold credentials: set "storage-s3-accesskey" and "storage-s3-secretkey"`},
		{"key without encryption", Options{"storage-s3-bucket": "b", "storage-s3-region": "r", "storage-s3-keyid": "k"}, `option "storage-s3-keyid": must be empty unless "storage-s3-encrypt" is true`},
		{"old signatures for Amazon", Options{"storage-s3-bucket": "b", "storage-s3-region": "r", "storage-s3-skip-v4-auth": false}, `option "storage-s3-skip-v4-auth": must be true for Amazon S3, which takes no other signatures`},
		{"acceleration elsewhere", Options{"storage-s3-bucket": "b", "storage-s3-regionendpoint": "https://ceph", "storage-s3-accelerate": true},
			`option "storage-s3-accelerate": must be false with "storage-s3-regionendpoint": only Amazon S3 has it, and would be asked instead`},
		{"acceleration by path", bucket(Options{"storage-s3-forcepathstyle": true, "storage-s3-accelerate": true}),
			`option "storage-s3-accelerate": must be false with "storage-s3-forcepathstyle": it needs the bucket in the host name`},
		{"storage-s3-chunksize", Options{"storage-s3-chunksize": 5<<20 - 1}, `option "storage-s3-chunksize": must be a whole number from 5242880 to 5368709120`},
		{"storage-s3-multipartcopychunksize", Options{"storage-s3-multipartcopychunksize": 5<<30 + 1}, `option "storage-s3-multipartcopychunksize": must be a whole number from 5242880 to 5368709120`},
		{"storage-s3-multipartcopymaxconcurrency", Options{"storage-s3-multipartcopymaxconcurrency": 0}, `option "storage-s3-multipartcopymaxconcurrency": must be a whole number from 1 to 2147483647`},
		{"storage-s3-multipartcopythresholdsize", Options{"storage-s3-multipartcopythresholdsize": -1}, `option "storage-s3-multipartcopythresholdsize": must be a whole number from 0 to 5368709120`},
		{"storage-s3-storageclass", Options{"storage-s3-storageclass": "GLACIER"},
			`option "storage-s3-storageclass": must be STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, OUTPOSTS, GLACIER_IR, EXPRESS_ONEZONE or NONE`},
		{"storage-s3-objectacl", Options{"storage-s3-objectacl": "public"},
			`option "storage-s3-objectacl": must be private, public-read, public-read-write, authenticated-read, aws-exec-read, bucket-owner-read or bucket-owner-full-control`},
		{"storage-s3-loglevel", Options{"storage-s3-loglevel": "info"},
			`option "storage-s3-loglevel": must be off, debug, debugwithsigning, debugwithhttpbody, debugwithrequestretries, debugwithrequesterrors or debugwitheventstreambody`},
	})
}

func TestParseRefusesHost(t *testing.T) {
	checkRefusals(t, []refusal{
		{"docker_runtime", Options{"docker_runtime": "containerd"}, `option "docker_runtime": must be auto, apt, upstream, nvidia or custom`},
		{"custom runtime half set", Options{"docker_runtime": "custom", "docker_runtime_package": "moby"},
			`option "docker_runtime_key_url": must be set when "docker_runtime" is custom; option "docker_runtime_repo": must be set when "docker_runtime" is custom`},
		{"custom runtime", Options{"docker_runtime": "custom", "docker_runtime_repo": "https://p", "docker_runtime_key_url": "p", "docker_runtime_package": "-y"},
			`option "docker_runtime_key_url": has no scheme: type "https://p" or "http://p"; ` +
				`option "docker_runtime_package": must be the name of a package; ` +
				`option "docker_runtime_repo": must be a source such as "deb [arch={ARCH}] https://download.example.com/linux/ubuntu {CODE} stable"`},
		{"docker-opts", Options{"docker-opts": "--label 'a"}, `option "docker-opts": must close every quote, and have a character behind every backslash`},
		{"daemon-opts that is no JSON", Options{"daemon-opts": "log-driver: none"}, `option "daemon-opts": must be a JSON object such as {"log-driver": "json-file"}`},
		{"daemon-opts that is a list", Options{"daemon-opts": "[]"}, `option "daemon-opts": must be a JSON object such as {"log-driver": "json-file"}`},
		{"http_proxy", Options{"http_proxy": "http://:3128"}, `option "http_proxy": must be a URL such as "http://proxy.example.com:3128"`},
		{"https_proxy", Options{"https_proxy": "http://p:0"}, `option "https_proxy": must be a URL such as "http://proxy.example.com:3128"`},
		{"install_sources that is no YAML", Options{"install_sources": "- 'hunter2"}, `option "install_sources": must be a YAML list`},
		{"install_sources that is a mapping", Options{"install_sources": "a: b"}, `option "install_sources": must be a YAML list of texts`},
		{"install_sources with a number", Options{"install_sources": "[deb x, 5]", "install_keys": "[null, null]"}, `option "install_sources": item 2 must be text`},
		{"install_sources of an unknown kind", Options{"install_sources": "['deb x', 'https://u:hunter2@x']"}, `option "install_sources": item 2 must be one line that begins with "deb ", "ppa:" or "cloud:"`},
		{"install_sources with two lines", Options{"install_sources": `["deb x\ndeb y"]`}, `option "install_sources": item 1 must be one line that begins with "deb ", "ppa:" or "cloud:"`},
		{"install_keys that is no key", Options{"install_sources": "['deb x']", "install_keys": "[hunter2]"}, `option "install_keys": item 1 must be an ASCII armoured public key, the ID of one, or null`},
		{"install_keys of another length", Options{"install_sources": "[deb x]", "install_keys": "[FC7DD388, null]"}, `option "install_keys": must have as many items as "install_sources", null for a source without a key`},
		{"extra_packages", Options{"extra_packages": "jq --purge"}, `option "extra_packages": word 2 must be the name of a package`},
		{"package_status", Options{"package_status": "remove"}, `option "package_status": must be install or hold`},
	})
}
