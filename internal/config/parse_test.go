package config

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func fields(text string) []string { return strings.Fields(text) }

func base64Of(text []byte) string { return base64.StdEncoding.EncodeToString(text) }

// untouched is what the defaults of config.yaml mean.
func untouched() Config {
	related := plainS3()
	related.Region, related.Bucket = "", ""
	return Config{
		HTTP: HTTP{Port: 5000, DebugPort: 5001},
		TLS: TLS{
			CertPath: "/etc/docker/registry/registry.crt",
			KeyPath:  "/etc/docker/registry/registry.key",
			CAPath:   "/etc/docker/registry/ca.crt",
			Minimum:  "1.2",
		},
		Storage:   Storage{Backend: Filesystem{}, MemoryCache: true, Related: &related},
		Log:       Log{Level: "info"},
		Container: Container{Name: "registry", Runtime: Docker},
		Host: Host{
			KeyServer: "hkp://keyserver.ubuntu.com:80",
			Engine: Engine{
				Source: "apt",
				Daemon: map[string]any{
					"log-driver": "json-file",
					"log-opts":   map[string]any{"max-size": "10m", "max-file": "100"},
				},
			},
		},
		Nagios: Nagios{Context: "juju", Groups: []string{"juju"}},
	}
}

func plainS3() S3 {
	return S3{
		Region: "eu-central-1", Bucket: "images", StorageClass: "STANDARD", ObjectACL: "private",
		LogLevel: "off", Secure: true, V4Auth: true, ChunkSize: 10 << 20,
		MultipartCopyChunkSize: 32 << 20, MultipartCopyMaxConcurrency: 100,
		MultipartCopyThresholdSize: 32 << 20,
	}
}

// meaning is a change of the defaults, and what it changes of the configuration.
type meaning struct {
	name string
	in   Options
	want func(*Config)
}

func checkMeanings(t *testing.T, tests []meaning) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := untouched()
			test.want(&want)
			got, err := Parse(with(t, test.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// bucket is enough for S3, with more options.
func bucket(more Options) Options {
	options := Options{"storage-s3-bucket": "images", "storage-s3-region": "eu-central-1"}
	maps.Copy(options, more)
	return options
}

// s3 changes the backend that bucket makes.
func s3(change func(*S3)) func(*Config) {
	return func(c *Config) {
		backend := plainS3()
		change(&backend)
		c.Storage.Backend, c.Storage.Related = backend, nil
	}
}

func TestParseHTTP(t *testing.T) {
	checkMeanings(t, []meaning{
		{"defaults", nil, func(*Config) {}},
		{"float from JSON", Options{"registry-port": 5443.0}, func(c *Config) { c.HTTP.Port = 5443 }},
		{"int64", Options{"registry-port": int64(80)}, func(c *Config) { c.HTTP.Port = 80 }},
		{"debug-port", Options{"debug-port": 9100}, func(c *Config) { c.HTTP.DebugPort = 9100 }},
		{"prometheus-metrics", Options{"prometheus-metrics": true}, func(c *Config) { c.HTTP.Metrics = true }},
		{"http-host", Options{"http-host": " https://r.example.com:8443\n"}, func(c *Config) {
			c.HTTP.Host = URL{Scheme: "https", Netloc: "r.example.com:8443"}
		}},
		{"http-host with a path", Options{"http-host": "http://r.example.com/a"}, func(c *Config) {
			c.HTTP.Host = URL{Scheme: "http", Netloc: "r.example.com", Path: "/a/"}
		}},
		{"http-host of IPv6", Options{"http-host": "https://[2001:db8::1]:5000"}, func(c *Config) {
			c.HTTP.Host = URL{Scheme: "https", Netloc: "[2001:db8::1]:5000"}
		}},
	})
}

func TestParseContainer(t *testing.T) {
	checkMeanings(t, []meaning{
		{"log-level", Options{"log-level": "DEBUG"}, func(c *Config) { c.Log.Level = "debug" }},
		{"registry-name", Options{"registry-name": "r2.images_x-1"}, func(c *Config) { c.Container.Name = "r2.images_x-1" }},
		{"registry-image", Options{"registry-image": "ghcr.io/charmed-kubernetes/docker-registry:2"}, func(c *Config) {
			c.Container.Image = "ghcr.io/charmed-kubernetes/docker-registry:2"
		}},
		{"registry-runtime", Options{"registry-runtime": "native"}, func(c *Config) { c.Container.Runtime = Native }},
		{"registry-http-proxy", Options{"registry-http-proxy": "http://u:p@proxy:3128"}, func(c *Config) {
			c.Container.HTTPProxy = NewSecret("http://u:p@proxy:3128")
		}},
		{"registry-https-proxy without a scheme", Options{"registry-https-proxy": "proxy:3128"}, func(c *Config) {
			c.Container.HTTPSProxy = NewSecret("http://proxy:3128")
		}},
		{"registry-config", Options{"registry-config": "health: {tcp: [{addr: 'a:1'}]}"}, func(c *Config) {
			c.Overlay = map[string]any{"health": map[string]any{"tcp": []any{map[string]any{"addr": "a:1"}}}}
		}},
		{"registry-config, read as the registry reads it", Options{"registry-config": "a: [yes, 'yes', Off, !!str n, 2001-01-01, 010, ~, &x {b: On}, *x]"}, func(c *Config) {
			c.Overlay = map[string]any{"a": []any{
				true, "yes", false, "n", "2001-01-01", 8, nil, map[string]any{"b": true}, map[string]any{"b": true},
			}}
		}},
	})
}

func TestParseTLS(t *testing.T) {
	pair := newPair(t, "registry.example.com")
	checkMeanings(t, []meaning{
		{"tls blobs", Options{"tls-cert-blob": base64Of(pair.cert), "tls-key-blob": base64Of(pair.key), "tls-ca-blob": base64Of(pair.cert)}, func(c *Config) {
			c.TLS.Blobs = &Certificate{
				Chain: pair.cert, Key: NewSecret(string(pair.key)), CA: pair.cert,
				NotBefore: 900_000_000, NotAfter: pair.notAfter, Authority: true, SelfSigned: true,
			}
		}},
		{"a proxy that ends TLS", Options{"website-tls": "Reencrypt"}, func(c *Config) { c.TLS.Reencrypt = true }},
		{"tls paths", Options{"tls-cert-path": "/a/../b.crt", "tls-key-path": "", "tls-ca-path": "/c.crt"}, func(c *Config) {
			c.TLS = TLS{CertPath: "/b.crt", CAPath: "/c.crt", Minimum: "1.2"}
		}},
		{"tls-client-ca", Options{"tls-client-ca": base64Of(pair.cert)}, func(c *Config) {
			c.TLS.Clients = &ClientAuth{CA: pair.cert, Required: true}
		}},
		{"tls-client-auth", Options{"tls-client-ca": base64Of(pair.cert), "tls-client-auth": "request"}, func(c *Config) {
			c.TLS.Clients = &ClientAuth{CA: pair.cert}
		}},
	})
}

func TestParseAuth(t *testing.T) {
	pair := newPair(t, "registry.example.com")
	checkMeanings(t, []meaning{
		{"basic authentication", Options{"auth-basic-password": " pass word "}, func(c *Config) {
			c.Auth.Basic = &Basic{User: "admin", Password: NewSecret(" pass word ")}
		}},
		{"longest password", Options{"auth-basic-user": "u", "auth-basic-password": strings.Repeat("x", 72)}, func(c *Config) {
			c.Auth.Basic = &Basic{User: "u", Password: NewSecret(strings.Repeat("x", 72))}
		}},
		{"token authentication", Options{
			"auth-token-realm": "https://auth.example.com/token?x=1", "auth-token-service": "registry",
			"auth-token-issuer": "issuer", "auth-token-root-certs": base64Of(pair.cert),
		}, func(c *Config) {
			c.Auth.Token = &Token{Realm: "https://auth.example.com/token?x=1", Service: "registry", Issuer: "issuer", RootCerts: pair.cert}
		}},
	})
}

func TestParseMirror(t *testing.T) {
	checkMeanings(t, []meaning{
		{"cache", Options{"cache-remoteurl": "https://registry-1.docker.io"}, func(c *Config) {
			c.Mirror = &Mirror{URL: URL{Scheme: "https", Netloc: "registry-1.docker.io"}, TTL: DefaultTTL}
		}},
		{"cache with credentials", Options{"cache-remoteurl": "http://m", "cache-username": "u", "cache-password": "p"}, func(c *Config) {
			c.Mirror = &Mirror{URL: URL{Scheme: "http", Netloc: "m"}, Username: "u", Password: NewSecret("p"), TTL: DefaultTTL}
		}},
		{"cache-ttl", Options{"cache-remoteurl": "http://m", "cache-ttl": " 1h30m "}, func(c *Config) {
			c.Mirror = &Mirror{URL: URL{Scheme: "http", Netloc: "m"}, TTL: "1h30m"}
		}},
		{"a cache that keeps everything", Options{"cache-remoteurl": "http://m", "cache-ttl": "0"}, func(c *Config) {
			c.Mirror = &Mirror{URL: URL{Scheme: "http", Netloc: "m"}, TTL: "0s"}
		}},
	})
}

func TestParseStorage(t *testing.T) {
	pair := newPair(t, "ca")
	checkMeanings(t, []meaning{
		{"storage-cache", Options{"storage-cache": "disabled"}, func(c *Config) { c.Storage.MemoryCache = false }},
		{"storage-delete", Options{"storage-delete": true}, func(c *Config) { c.Storage.Delete = true }},
		{"storage-read-only", Options{"storage-read-only": true}, func(c *Config) { c.Storage.ReadOnly = true }},
		{"storage-ca-blob", Options{"storage-ca-blob": base64Of(append([]byte("my authorities\n"), pair.cert...))}, func(c *Config) { c.Storage.CA = pair.cert }},
		{"storage-redirect-disable", Options{"storage-redirect-disable": false}, func(c *Config) { c.Storage.Redirect = true }},
	})
}

// redis is enough for Redis, with more options.
func redis(more Options) Options {
	options := Options{"storage-cache": "redis", "storage-redis-addrs": "redis.example.com:6379"}
	maps.Copy(options, more)
	return options
}

func TestParseRedis(t *testing.T) {
	checkMeanings(t, []meaning{
		{"one server", redis(nil), func(c *Config) {
			c.Storage.MemoryCache, c.Storage.Redis = false, &Redis{Addrs: []string{"redis.example.com:6379"}}
		}},
		{"a cluster", redis(Options{
			"storage-redis-addrs": " 10.0.0.1:6379,[2001:db8::1]:6379  c:1 ", "storage-redis-username": "u",
			"storage-redis-password": " p ", "storage-redis-tls": true,
		}), func(c *Config) {
			c.Storage.MemoryCache, c.Storage.Redis = false, &Redis{
				Addrs: []string{"10.0.0.1:6379", "[2001:db8::1]:6379", "c:1"}, Username: "u", Password: NewSecret(" p "), TLS: true,
			}
		}},
		{"sentinels", redis(Options{
			"storage-redis-addrs": "a:26379,b:26379", "storage-redis-sentinel-master": "m",
			"storage-redis-sentinel-password": "s", "storage-redis-db": 3,
		}), func(c *Config) {
			c.Storage.MemoryCache, c.Storage.Redis = false, &Redis{
				Addrs: []string{"a:26379", "b:26379"}, DB: 3, Master: "m", SentinelPassword: NewSecret("s"),
			}
		}},
		{"not used", redis(Options{"storage-cache": "inmemory", "storage-redis-username": "u"}), func(*Config) {}},
	})
}

// keystone is enough for Swift, with more options.
func keystone(more Options) Options {
	options := Options{
		"storage-swift-authurl": "https://keystone:5000/v3", "storage-swift-username": "u",
		"storage-swift-password": "p", "storage-swift-tenant": "t",
	}
	maps.Copy(options, more)
	return options
}

// swift changes the backend that keystone makes.
func swift(change func(*Swift)) func(*Config) {
	return func(c *Config) {
		backend := Swift{
			AuthURL: URL{Scheme: "https", Netloc: "keystone:5000", Path: "/v3"}, AuthVersion: 3, Username: "u",
			Password: NewSecret("p"), Tenant: Named{Name: "t"}, EndpointType: "public",
			Container: "docker-registry", ChunkSize: 20 << 20,
		}
		change(&backend)
		c.Storage.Backend, c.Storage.Related = backend, nil
	}
}

func TestParseSwift(t *testing.T) {
	at := func(path string, version int) func(*Config) {
		return swift(func(s *Swift) { s.AuthURL.Path, s.AuthVersion = path, version })
	}
	url := func(url string) Options { return keystone(Options{"storage-swift-authurl": url}) }
	checkMeanings(t, []meaning{
		{"Swift, which comes before S3", keystone(bucket(nil)), swift(func(*Swift) {})},
		{"Swift names", keystone(Options{
			"storage-swift-domain": "d", "storage-swift-tenant-domain": "td", "storage-swift-region": "r",
			"storage-swift-container": "c", "storage-swift-prefix": "/a/b", "storage-swift-secretkey": " k ",
			"storage-swift-endpoint-type": "Internal", "storage-swift-chunksize": 1 << 20,
		}), swift(func(s *Swift) {
			s.Domain.Name, s.TenantDomain.Name, s.Region, s.Container, s.Prefix = "d", "td", "r", "c", "/a/b"
			s.SecretKey, s.EndpointType, s.ChunkSize = NewSecret(" k "), "internal", 1<<20
		})},
		{"Swift IDs", keystone(Options{
			"storage-swift-tenant": "", "storage-swift-tenant-id": "t", "storage-swift-domain-id": "d", "storage-swift-tenant-domain-id": "td",
		}), swift(func(s *Swift) { s.Tenant, s.Domain.ID, s.TenantDomain.ID = Named{ID: "t"}, "d", "td" })},
		{"Swift by a trust", keystone(Options{"storage-swift-tenant": "", "storage-swift-trust-id": "x"}), swift(func(s *Swift) {
			s.Tenant, s.TrustID = Named{}, "x"
		})},
		{"version 2 in the URL", url("https://keystone:5000/v2.0/"), at("/v2.0/", 2)},
		{"version 3 in the middle of the URL", url("https://keystone:5000/identity/v3/auth"), at("/identity/v3/auth", 3)},
		{"a version in the host is none", keystone(Options{"storage-swift-authurl": "https://keystone:5000/v30", "storage-swift-authversion": 2}), at("/v30", 2)},
		{"the option comes before the URL", keystone(Options{"storage-swift-authversion": 1}), at("/v3", 1)},
		{"version 1 without a tenant", keystone(Options{"storage-swift-authurl": "https://keystone:5000/auth/v1.0", "storage-swift-tenant": ""}), swift(func(s *Swift) {
			s.AuthURL.Path, s.AuthVersion, s.Tenant = "/auth/v1.0", 1, Named{}
		})},
	})
}

func TestParseS3(t *testing.T) {
	checkMeanings(t, []meaning{
		{"S3", bucket(nil), s3(func(*S3) {})},
		{"S3 elsewhere without a region", Options{"storage-s3-bucket": "images", "storage-s3-regionendpoint": "http://127.0.0.1:9000"}, s3(func(s *S3) {
			s.Region, s.Endpoint, s.ForcePathStyle = "us-east-1", "http://127.0.0.1:9000", true
		})},
		{"S3 at an address of IPv6", bucket(Options{"storage-s3-regionendpoint": "[2001:db8::1]:9000"}), s3(func(s *S3) {
			s.Endpoint, s.ForcePathStyle = "[2001:db8::1]:9000", true
		})},
		{"S3 endpoint without a scheme, old signatures", bucket(Options{"storage-s3-regionendpoint": "ceph:7480", "storage-s3-skip-v4-auth": false}), s3(func(s *S3) {
			s.Endpoint, s.ForcePathStyle, s.V4Auth = "ceph:7480", true, false
		})},
		{"S3 texts", bucket(Options{
			"storage-s3-accesskey": "AK", "storage-s3-secretkey": "SK", "storage-s3-keyid": "key",
			"storage-s3-encrypt": true, "storage-s3-rootdirectory": "/r", "storage-s3-useragent": "ua",
			"storage-s3-storageclass": "standard_ia", "storage-s3-objectacl": "public-read", "storage-s3-loglevel": "debug",
		}), s3(func(s *S3) {
			s.AccessKey, s.SecretKey, s.KeyID, s.Encrypt = NewSecret("AK"), NewSecret("SK"), "key", true
			s.RootDirectory, s.UserAgent, s.StorageClass, s.ObjectACL, s.LogLevel = "/r", "ua", "STANDARD_IA", "public-read", "debug"
		})},
		{"S3 flags", bucket(Options{
			"storage-s3-forcepathstyle": true, "storage-s3-secure": false, "storage-s3-skip-verify": true,
			"storage-s3-usedualstack": true,
		}), s3(func(s *S3) {
			s.ForcePathStyle, s.Secure, s.SkipVerify, s.UseDualStack = true, false, true, true
		})},
		{"S3 accelerated", bucket(Options{"storage-s3-accelerate": true}), s3(func(s *S3) { s.Accelerate = true })},
		{"S3 numbers", bucket(Options{
			"storage-s3-chunksize": 5 << 20, "storage-s3-multipartcopychunksize": 5 << 30,
			"storage-s3-multipartcopymaxconcurrency": 1, "storage-s3-multipartcopythresholdsize": 0,
		}), s3(func(s *S3) {
			s.ChunkSize, s.MultipartCopyChunkSize, s.MultipartCopyMaxConcurrency, s.MultipartCopyThresholdSize = 5<<20, 5<<30, 1, 0
		})},
	})
}

func TestParseEngine(t *testing.T) {
	checkMeanings(t, []meaning{
		{"docker_runtime nvidia", Options{"docker_runtime": "nvidia"}, func(*Config) {}},
		{"docker_runtime upstream", Options{"docker_runtime": "upstream"}, func(c *Config) {
			c.Host.Engine.Source, c.Host.Engine.Custom = "custom", CustomEngine{
				Repository: "deb [arch={ARCH}] https://download.docker.com/linux/ubuntu {CODE} stable",
				KeyURL:     "https://download.docker.com/linux/ubuntu/gpg",
				Package:    "docker-ce",
			}
		}},
		{"docker_runtime custom", Options{
			"docker_runtime": "custom", "docker_runtime_repo": "deb https://p.example.com {CODE} main",
			"docker_runtime_key_url": "https://p.example.com/key", "docker_runtime_package": "moby=1.2-3~u24.04",
		}, func(c *Config) {
			c.Host.Engine.Source, c.Host.Engine.Custom = "custom", CustomEngine{
				Repository: "deb https://p.example.com {CODE} main", KeyURL: "https://p.example.com/key", Package: "moby=1.2-3~u24.04",
			}
		}},
		{"docker-opts", Options{"docker-opts": `--debug --label 'rack=b 12'`}, func(c *Config) {
			c.Host.Engine.Opts = []string{"--debug", "--label", "rack=b 12"}
		}},
		{"daemon-opts", Options{"daemon-opts": `{"mtu": 1400}`}, func(c *Config) {
			c.Host.Engine.Daemon = map[string]any{"mtu": 1400.0}
		}},
		{"daemon-opts empty", Options{"daemon-opts": ""}, func(c *Config) { c.Host.Engine.Daemon = nil }},
		{"proxies of the engine", Options{"http_proxy": "http://a", "https_proxy": "socks5://b:1", "no_proxy": "10.0.0.0/8,.local"}, func(c *Config) {
			c.Host.Engine.HTTPProxy, c.Host.Engine.HTTPSProxy = NewSecret("http://a"), NewSecret("socks5://b:1")
			c.Host.Engine.NoProxy = "10.0.0.0/8,.local"
		}},
	})
}

func TestParseHost(t *testing.T) {
	checkMeanings(t, []meaning{
		{"sources and keys", Options{"install_sources": "- deb http://a b c\n- ppa:x/y\n", "install_keys": "- |\n  -----BEGIN PGP PUBLIC KEY BLOCK-----\n  x\n- null\n"}, func(c *Config) {
			c.Host.Sources, c.Host.Keys = []string{"deb http://a b c", "ppa:x/y"}, []string{"-----BEGIN PGP PUBLIC KEY BLOCK-----\nx\n", ""}
		}},
		{"keys by ID", Options{"install_sources": "[distro, 'cloud:noble-x']", "install_keys": "['0x9DC858229FC7DD38', 'FC7D D388']"}, func(c *Config) {
			c.Host.Sources, c.Host.Keys = []string{"distro", "cloud:noble-x"}, []string{"0x9DC858229FC7DD38", "FC7D D388"}
		}},
		{"one source", Options{"install_sources": "ppa:x/y", "install_keys": "null"}, func(c *Config) {
			c.Host.Sources = []string{"ppa:x/y"}
		}},
		{"packages", Options{"extra_packages": " jq  g++:arm64=1.2~x-1 ", "package_status": "hold", "apt-key-server": "hkp://k"}, func(c *Config) {
			c.Host.Packages, c.Host.Hold, c.Host.KeyServer = []string{"jq", "g++:arm64=1.2~x-1"}, true, "hkp://k"
		}},
		{"nagios", Options{"nagios_context": "prod", "nagios_servicegroups": "a, b,,"}, func(c *Config) {
			c.Nagios = Nagios{Context: "prod", Groups: []string{"a", "b"}}
		}},
		{"retired", Options{
			"enable-cgroups": true, "install_from_upstream": true, "cuda_repo": "x", "docker-ce-package": "x",
			"nvidia-docker-package": "x", "nvidia-container-runtime-package": "x",
		}, func(*Config) {}},
	})
}

func TestParseSettingsOfARelatedBucket(t *testing.T) {
	checkMeanings(t, []meaning{
		{"S3 without a bucket", Options{"storage-s3-encrypt": true, "storage-s3-storageclass": "NONE"}, func(c *Config) {
			c.Storage.Related.Encrypt, c.Storage.Related.StorageClass = true, "NONE"
		}},
	})
}

func TestUse(t *testing.T) {
	keys := func(b Bucket) Bucket {
		b.Name, b.AccessKey, b.SecretKey = "b", NewSecret("AK"), NewSecret("SK")
		return b
	}
	for _, test := range []struct {
		name   string
		bucket Bucket
		want   func(*S3)
	}{
		{"Amazon", Bucket{Region: "eu-west-1"}, func(s *S3) { s.Region, s.Accelerate = "eu-west-1", true }},
		{"Amazon by path", Bucket{Region: "eu-west-1", ByPath: true}, func(s *S3) { s.Region, s.ForcePathStyle = "eu-west-1", true }},
		{"elsewhere", Bucket{Endpoint: "https://ceph"}, func(s *S3) { s.Endpoint, s.ForcePathStyle = "https://ceph", true }},
		{"elsewhere by host", Bucket{Endpoint: "https://ceph", ByHost: true}, func(s *S3) { s.Endpoint = "https://ceph" }},
		{"an address by host", Bucket{Endpoint: "https://10.0.0.1:80", ByHost: true}, func(s *S3) {
			s.Endpoint, s.ForcePathStyle = "https://10.0.0.1:80", true
		}},
		{"a part of it", Bucket{Region: "r", Path: "/x"}, func(s *S3) { s.Region, s.RootDirectory, s.Accelerate = "r", "/x", true }},
		{"old", Bucket{Endpoint: "ceph:80", OldSignatures: true}, func(s *S3) {
			s.Endpoint, s.ForcePathStyle, s.V4Auth = "ceph:80", true, false
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, want := plainS3(), plainS3()
			got.Accelerate, got.RootDirectory = true, "/of/the/options"
			want.Bucket, want.Region, want.RootDirectory = "b", "us-east-1", "/of/the/options"
			want.AccessKey, want.SecretKey = NewSecret("AK"), NewSecret("SK")
			test.want(&want)
			got.Use(keys(test.bucket))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if fault := got.Fault(); fault != "" {
				t.Error(fault)
			}
		})
	}
}
