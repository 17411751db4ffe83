package stories

import (
	"encoding/base64"
	"strings"
	"testing"
)

// badOptions are mistakes that an operator makes on a unit that serves, and what its status says to each.
func badOptions(c certificates) []badOption {
	encode := func(pem string) string { return base64.StdEncoding.EncodeToString([]byte(pem)) }
	cert, key := encode(c.cert), encode(c.key)
	return []badOption{
		{"log level", options{"log-level": "loud"},
			`Invalid charm config: option "log-level": must be error, warn, info or debug`},
		{"port above the last", options{"registry-port": "65536"},
			`Invalid charm config: option "registry-port": must be a whole number from 1 to 65535`},
		{"port below the first", options{"registry-port": "0"},
			`Invalid charm config: option "registry-port": must be a whole number from 1 to 65535`},
		{"ports equal", options{"registry-port": "5001"},
			`Invalid charm config: option "debug-port": must differ from "registry-port"`},
		{"host without scheme", options{"http-host": "registry.example.com"},
			`Invalid charm config: option "http-host": has no scheme: type "https://registry.example.com" or "http://registry.example.com"`},
		{"host with a port that is none", options{"http-host": "https://registry.example.com:port"},
			`Invalid charm config: option "http-host": must be a URL such as "https://registry.example.com"`},
		{"upstream", options{"cache-remoteurl": "docker.io"},
			`Invalid charm config: option "cache-remoteurl": has no scheme: type "https://docker.io" or "http://docker.io"`},
		{"lifetime in a cache", options{"cache-ttl": "7d"},
			`Invalid charm config: option "cache-ttl": must be a duration such as "168h" or "90m", or "0" to keep everything`},
		{"upstream with a password", options{"cache-remoteurl": "https://me:secret@docker.io"},
			`Invalid charm config: option "cache-remoteurl": must not hold a user name or password`},
		{"user of the upstream alone", options{"cache-username": "me"},
			`Invalid charm config: option "cache-password": must be set for the credentials of a pull-through cache, together with "cache-username"; option "cache-remoteurl": must be set together with "cache-username" and "cache-password"`},
		{"half a token set", options{"auth-token-realm": "https://auth.example.com/token"},
			`Invalid charm config: option "auth-token-issuer": must be set for token authentication, together with "auth-token-realm"; option "auth-token-root-certs": must be set for token authentication, together with "auth-token-realm"; option "auth-token-service": must be set for token authentication, together with "auth-token-realm"`},
		{"token bundle", options{
			"auth-token-realm": "https://auth.example.com/token", "auth-token-service": "s", "auth-token-issuer": "i",
			"auth-token-root-certs": "none",
		},
			`Invalid charm config: option "auth-token-root-certs": must be PEM, starting with -----BEGIN CERTIFICATE-----`},
		{"certificate without key", options{"tls-cert-blob": cert},
			`Invalid charm config: option "tls-key-blob": must be set together with "tls-cert-blob"`},
		{"key without certificate", options{"tls-key-blob": key},
			`Invalid charm config: option "tls-cert-blob": must be set together with "tls-key-blob"`},
		{"base64 that is not", options{"tls-cert-blob": "certificate!", "tls-key-blob": key},
			`Invalid charm config: option "tls-cert-blob": is not base64: type tls-cert-blob="$(base64 -w0 FILE)"`},
		{"PEM as it is", options{"tls-cert-blob": c.cert, "tls-key-blob": key},
			`Invalid charm config: option "tls-cert-blob": is PEM itself: type tls-cert-blob="$(base64 -w0 FILE)"`},
		{"PEM that is not", options{"tls-cert-blob": encode("a certificate"), "tls-key-blob": key},
			`Invalid charm config: option "tls-cert-blob": must be PEM, starting with -----BEGIN CERTIFICATE-----`},
		{"key of another certificate", options{"tls-cert-blob": cert, "tls-key-blob": encode(c.otherKey)},
			`Invalid charm config: option "tls-key-blob": cannot be used with the certificate: private key does not match public key`},
		{"path of a directory", options{"tls-cert-path": "/etc"},
			`Invalid charm config: option "tls-cert-path": cannot read /etc: not a file; put a readable file there or choose another path`},
		{"path of a link to nowhere", options{"tls-cert-path": "/etc/dangling"},
			`Invalid charm config: option "tls-cert-path": cannot read /etc/dangling: it is a link to "/nowhere", where no file is; put a readable file there or choose another path`},
		{"path that is not absolute", options{"tls-key-path": "registry.key"},
			`Invalid charm config: option "tls-key-path": must be the absolute path of a file`},
		{"long password", options{"auth-basic-password": strings.Repeat("long", 19)},
			`Invalid charm config: option "auth-basic-password": must not be longer than 72 bytes`},
		{"colon in the user", options{"auth-basic-user": "a:b", "auth-basic-password": "secret"},
			`Invalid charm config: option "auth-basic-user": must not contain a colon`},
		{"user without a password", options{"auth-users": "ci:"},
			`Invalid charm config: option "auth-users": user "ci" on line 1: there is no password; type one, or leave the user out`},
		{"hash of another kind", options{"auth-users": "ci: $apr1$salt$hash"},
			`Invalid charm config: option "auth-users": user "ci" on line 1: the password looks like a hash that is not bcrypt; type the password itself, or what "htpasswd -nbB -C 10 USER PASSWORD" prints behind the colon`},
		{"rule for nothing", options{"auth-policy": "ci * read"},
			`Invalid charm config: option "auth-policy": line 1: "read" is not an action; write pull, push, delete or list, with commas and no blanks between them`},
		{"TLS of old", options{"tls-min-version": "1.1"},
			`Invalid charm config: option "tls-min-version": must be 1.2 or 1.3`},
		{"name of a secret", options{"auth-basic-password": "secret:registry"},
			`Invalid charm config: option "auth-basic-password": begins like the URI of a secret, but is none: type "secret:" and the ID of 20 characters that "juju secrets" shows; put a value that begins so into a secret`},
		{"secret that there is not", options{"cache-password": "secret:cr2b8ke5v7qc7ahm2pl0"},
			`Invalid charm config: option "cache-password": names secret cr2b8ke5v7qc7ahm2pl0, which the unit cannot read (cannot run secret-get: permission denied); type "juju grant-secret cr2b8ke5v7qc7ahm2pl0 docker-registry", or reset the option`},
		{"overlay that is no YAML", options{"registry-config": "{"},
			`Invalid charm config: option "registry-config": is not valid YAML, line 1`},
		{"overlay that the charm refuses", options{"registry-config": "http: {addr: ':80'}"},
			`Invalid charm config: option "registry-config": key "http.addr" must be left out: set option "registry-port" instead`},
		{"overlay that the registry refuses", options{"registry-config": "middleware: {registry: [{name: nosuch}]}"},
			`registry refused its configuration: cannot build the registry: unable to configure registry middleware (nosuch): no registry middleware registered with name: nosuch; mend or reset option "registry-config" if it asks for that`},
		{"image that is none", options{"registry-image": "Not An Image"},
			`Invalid charm config: option "registry-image": must be an image such as "registry:2" or "ghcr.io/example/registry:3": invalid reference format: repository name (library/Not An Image) must be lowercase`},
		{"image that nobody has", options{"registry-image": "127.0.0.1:1/registry:2"},
			`Invalid charm config: option "registry-image": cannot pull "127.0.0.1:1/registry:2": Error response from daemon: Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused; choose an image that the unit's Docker Engine can pull, or reset the option for the built-in one`},
		{"two mistakes", options{"log-level": "loud", "debug-port": "-1"},
			`Invalid charm config: option "debug-port": must be a whole number from 1 to 65535; option "log-level": must be error, warn, info or debug`},
	}
}

// badStorage are mistakes in options of the storage.
func badStorage() []badOption {
	return []badOption{
		{"cache", options{"storage-cache": "disk"},
			`Invalid charm config: option "storage-cache": must be inmemory, redis or disabled`},
		{"bucket missing", options{"storage-s3-region": "eu-central-1"},
			`Invalid charm config: option "storage-s3-bucket": must be set together with "storage-s3-region"`},
		{"region missing", options{"storage-s3-bucket": "images"},
			`Invalid charm config: option "storage-s3-region": must be set together with "storage-s3-bucket", unless "storage-s3-regionendpoint" is set`},
		{"chunks too small", options{"storage-s3-chunksize": "1048576"},
			`Invalid charm config: option "storage-s3-chunksize": must be a whole number from 5242880 to 5368709120`},
		{"copied chunks too small", options{"storage-s3-multipartcopychunksize": "1"},
			`Invalid charm config: option "storage-s3-multipartcopychunksize": must be a whole number from 5242880 to 5368709120`},
		{"half a Swift set", options{"storage-swift-username": "me"},
			`Invalid charm config: option "storage-swift-authurl": must be set for Swift, together with "storage-swift-username"; option "storage-swift-password": must be set for Swift, together with "storage-swift-username"`},
		{"Swift URL", options{
			"storage-swift-authurl": "keystone:5000", "storage-swift-username": "me", "storage-swift-password": "secret",
			"storage-swift-tenant": "t",
		},
			`Invalid charm config: option "storage-swift-authurl": has no scheme: type "https://keystone:5000" or "http://keystone:5000"`},
		{"Swift of no version", options{
			"storage-swift-authurl": "https://keystone.example.com:5000", "storage-swift-username": "me", "storage-swift-password": "secret",
			"storage-swift-tenant": "t",
		},
			`Invalid charm config: option "storage-swift-authversion": must be 1, 2 or 3, because "storage-swift-authurl" does not tell: it has no part such as "/v3"`},
		{"Swift without a tenant", options{
			"storage-swift-authurl": "https://keystone.example.com:5000/v3", "storage-swift-username": "me", "storage-swift-password": "secret",
		},
			`Invalid charm config: option "storage-swift-tenant": must be set, or "storage-swift-tenant-id" or "storage-swift-trust-id", for version 3 of authentication`},
		{"region that Amazon does not have", options{"storage-s3-bucket": "images", "storage-s3-region": "eu-north-9"},
			`Invalid charm config: option "storage-s3-region": Amazon S3 has no region "eu-north-9"; set another one, or "storage-s3-regionendpoint" for another service`},
		{"endpoint that is no URL", options{"storage-s3-bucket": "images", "storage-s3-regionendpoint": "s3://ceph"},
			`Invalid charm config: option "storage-s3-regionendpoint": must be a URL such as "https://s3.example.com:9000"`},
		{"authority that is none", options{"storage-ca-blob": base64.StdEncoding.EncodeToString([]byte("an authority"))},
			`Invalid charm config: option "storage-ca-blob": must be PEM, starting with -----BEGIN CERTIFICATE-----`},
		{"Redis nowhere", options{"storage-cache": "redis"},
			`Invalid charm config: option "storage-redis-addrs": must be set when "storage-cache" is redis`},
		{"Redis without a port", options{"storage-cache": "redis", "storage-redis-addrs": "redis.example.com"},
			`Invalid charm config: option "storage-redis-addrs": must be host:port such as "redis.example.com:6379" or "[2001:db8::1]:6379", several separated by commas: number 1 is not`},
	}
}

type options = map[string]string

type badOption struct {
	name string
	set  options
	want string
}

// TestBadOptions holds that no mistake fails a hook or touches what serves, and that the status tells how
// to mend it.
func TestBadOptions(t *testing.T) {
	t.Run("storage", func(t *testing.T) { wantMended(t, badStorage()) })
	t.Run("others", func(t *testing.T) { wantMended(t, badOptions(makeCertificates(t))) })
}

func wantMended(t *testing.T, mistakes []badOption) {
	t.Helper()
	p := deployed(t, nil)
	p.on("ln -s /nowhere /etc/dangling")
	ready, serving, hooks, w := p.unit.Status().String(), p.container(), len(p.unit.Hooks()), p.watch(5000)
	for _, bad := range mistakes {
		var names []string
		for name := range bad.set {
			names = append(names, name)
		}
		p.set(bad.set)
		p.settle()
		if got := p.unit.Status().String(); got != "blocked: "+bad.want {
			t.Errorf("%s:\n got %s\nwant blocked: %s", bad.name, got, bad.want)
		}
		p.must(p.app.ResetConfig(names...))
		p.settle()
		p.wantStatus(ready)
	}
	p.noFailure(hooks)
	p.wantConstant(w)
	if now := p.container(); now.ID != serving.ID || now.State != serving.State {
		t.Errorf("container\n got %+v\nwant %+v", now, serving)
	}
}

// TestExpiredCertificate holds that a certificate which has expired is served, and that the status says so.
func TestExpiredCertificate(t *testing.T) {
	p := deployed(t, nil)
	c := makeCertificates(t)
	p.set(options{
		"tls-cert-blob": base64.StdEncoding.EncodeToString([]byte(c.expired)),
		"tls-key-blob":  base64.StdEncoding.EncodeToString([]byte(c.key)),
	})
	p.settle()
	p.wantStatus("active: Ready at " + p.machine.Address() + ":5000 (https). " +
		"The certificate has expired; replace it, clients refuse it.")
}
