package registryconf

import (
	"maps"
	"strings"

	"docker-registry-operator/internal/config"
)

// managed are the keys that an overlay must leave alone, with what to do instead:
// the charm tells clients, proxies and monitors what stands there, or asks the
// registry at these places itself.
func managed(in Input) map[string]string {
	const own = "must be left out: the charm sets it"
	keys := map[string]string{
		"version":                          own,
		"log.level":                        option("log-level"),
		"http.addr":                        option("registry-port"),
		"http.net":                         own,
		"http.host":                        option("http-host"),
		"http.prefix":                      "must be left out: the registry is served at /v2/",
		"http.secret":                      "must be left out: all units share one that the charm makes",
		"http.debug":                       options("debug-port", "prometheus-metrics"),
		"http.tls.certificate":             options("tls-cert-blob", "tls-key-blob"),
		"http.tls.key":                     options("tls-cert-blob", "tls-key-blob"),
		"http.tls.clientcas":               option("tls-client-ca"),
		"http.tls.clientauth":              option("tls-client-auth"),
		"http.tls.minimumtls":              option("tls-min-version"),
		"http.tls.letsencrypt":             "must be left out: relate the charm to a provider of certificates",
		"storage.cache.blobdescriptor":     option("storage-cache"),
		"storage.cache.layerinfo":          option("storage-cache"),
		"storage.delete":                   option("storage-delete"),
		"storage.redirect":                 option("storage-redirect-disable"),
		"storage.maintenance.readonly":     option("storage-read-only"),
		"storage.filesystem.rootdirectory": "must be left out: it is always " + in.Data,
	}
	maps.Copy(keys, managedAuth(in.Config.Auth))
	maps.Copy(keys, managedMirror(in.Config.Mirror))
	maps.Copy(keys, managedBackend(in.Config.Storage.Backend))
	maps.Copy(keys, managedRedis(in.Config.Storage.Redis))
	return keys
}

// managedAuth leaves room for the settings of token authentication that no option
// covers.
func managedAuth(auth config.Auth) map[string]string {
	if auth.Token == nil {
		return map[string]string{"auth": `must be left out: set the options "auth-basic-*", "auth-users" and "auth-policy", or "auth-token-*" instead`}
	}
	return map[string]string{
		"auth.token.realm":          option("auth-token-realm"),
		"auth.token.service":        option("auth-token-service"),
		"auth.token.issuer":         option("auth-token-issuer"),
		"auth.token.rootcertbundle": option("auth-token-root-certs"),
	}
}

func managedMirror(mirror *config.Mirror) map[string]string {
	if mirror == nil {
		return map[string]string{"proxy": option("cache-remoteurl")}
	}
	return map[string]string{
		"proxy.remoteurl": option("cache-remoteurl"),
		"proxy.username":  option("cache-username"),
		"proxy.password":  option("cache-password"),
		"proxy.ttl":       option("cache-ttl"),
	}
}

// managedRedis leaves the section to the overlay unless the options ask for Redis.
func managedRedis(redis *config.Redis) map[string]string {
	if redis == nil {
		return nil
	}
	keys := map[string]string{
		"redis.addr":             option("storage-redis-addrs"),
		"redis.mastername":       option("storage-redis-sentinel-master"),
		"redis.sentinelpassword": option("storage-redis-sentinel-password"),
		"redis.tls.rootcas":      option("storage-ca-blob"),
	}
	for _, key := range []string{"addrs", "username", "password", "db"} {
		keys["redis."+key] = option("storage-redis-" + key)
	}
	return keys
}

func managedBackend(backend config.Backend) map[string]string {
	keys := map[string]string{}
	switch backend.(type) {
	case config.S3:
		for _, key := range []string{
			"accesskey", "secretkey", "region", "regionendpoint", "bucket", "rootdirectory",
			"forcepathstyle", "encrypt", "keyid", "secure", "chunksize",
			"multipartcopychunksize", "multipartcopymaxconcurrency", "multipartcopythresholdsize",
			"storageclass", "objectacl", "useragent", "usedualstack", "accelerate", "loglevel",
		} {
			keys["storage.s3."+key] = option("storage-s3-" + key)
		}
		keys["storage.s3.skipverify"] = option("storage-s3-skip-verify")
		keys["storage.s3.v4auth"] = option("storage-s3-skip-v4-auth")
	case config.Swift:
		for _, key := range []string{
			"authurl", "authversion", "username", "password", "tenant", "domain", "region",
			"container", "prefix", "chunksize", "secretkey",
		} {
			keys["storage.swift."+key] = option("storage-swift-" + key)
		}
		for _, key := range []string{"tenant-id", "domain-id", "tenant-domain", "tenant-domain-id", "trust-id", "endpoint-type"} {
			keys["storage.swift."+strings.ReplaceAll(key, "-", "")] = option("storage-swift-" + key)
		}
	}
	return keys
}

func option(name string) string {
	return `must be left out: set option "` + name + `" instead`
}

func options(first, second string) string {
	return `must be left out: set the options "` + first + `" and "` + second + `" instead`
}
