package registryd_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"docker-registry-operator/internal/registryd"
)

// TestSamples builds representative configurations without a network: every section of
// distribution's format that the stock registry knows.
func TestSamples(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer upstream.Close()
	u := prepare(t, t.TempDir())
	u.writeCertificate(time.Hour)
	u.writePasswords(0)
	for _, sample := range []struct{ name, config string }{
		{"filesystem", "storage: {filesystem: {rootdirectory: DIR/data, maxthreads: 50}, tag: {concurrencylimit: 5}, maintenance: {uploadpurging: {enabled: true, age: 168h, interval: 24h, dryrun: false}, readonly: {enabled: true}}}"},
		{"inmemory", "storage: inmemory"},
		{"s3", "storage: {s3: {region: eu-west-1, regionendpoint: 'http://127.0.0.1:1', bucket: b, accesskey: a, secretkey: s, chunksize: 10485760}, redirect: {disable: true}}"},
		{"azure", "storage: {azure: {accountname: a, accountkey: " + base64.StdEncoding.EncodeToString([]byte("key")) + ", container: c, credentials: {type: shared_key}}}"},
		{"htpasswd", "storage: inmemory\nauth: {htpasswd: {realm: r, path: DIR/htpasswd}}"},
		{"token", "storage: inmemory\nauth: {token: {realm: 'https://auth.test/token', service: s, issuer: i, rootcertbundle: DIR/cert.pem}}"},
		{"silly", "storage: inmemory\nauth: {silly: {realm: r, service: s}}"},
		{"proxy", "storage: {filesystem: {rootdirectory: DIR/proxy}}\nproxy: {remoteurl: '" + upstream.URL + "', username: u, password: p, ttl: 24h}"},
		{"redis", "storage: {inmemory: {}, cache: {blobdescriptor: redis}}\nredis: {addrs: ['127.0.0.1:1'], password: p, db: 1, dialtimeout: 10ms}"},
		{"cache", "storage: {inmemory: {}, cache: {blobdescriptor: inmemory, blobdescriptorsize: 100}}"},
		{"notifications", "storage: inmemory\nnotifications: {events: {includereferences: true}, endpoints: [{name: a, url: 'http://127.0.0.1:1', timeout: 1s, threshold: 5, backoff: 1s}, {name: b, disabled: true, url: x}]}"},
		{"debug", "storage: inmemory\nhttp: {debug: {addr: '127.0.0.1:0', prometheus: {enabled: true, path: /m}}}"},
		{"middleware", "storage: inmemory\nmiddleware: {storage: [{name: redirect, options: {baseurl: 'https://cdn.test/'}}]}"},
		{"http", "storage: inmemory\nhttp: {addr: ':5000', prefix: /x/, host: 'https://r.test', relativeurls: true, secret: s, headers: {X-Content-Type-Options: [nosniff]}, http2: {disabled: true}, tls: {certificate: DIR/cert.pem, key: DIR/key.pem, clientcas: [DIR/cert.pem], minimumtls: tls1.3}}"},
		{"letsencrypt", "storage: inmemory\nhttp: {tls: {letsencrypt: {cachefile: DIR/acme, email: a@b.test, hosts: [r.test]}}}"},
		{"log", "storage: inmemory\nlog: {level: warn, formatter: logstash, reportcaller: true, hooks: [{type: mail, levels: [panic], options: {smtp: {addr: 'm.test:25'}, from: a, to: [b]}}]}"},
		{"health", "storage: inmemory\nhealth: {storagedriver: {enabled: true}, tcp: [{addr: '127.0.0.1:1', timeout: 1s}], http: [{uri: 'http://127.0.0.1:1'}], file: [{file: DIR/down}]}"},
		{"validation", "storage: inmemory\nvalidation: {manifests: {urls: {allow: ['^https://a.test/']}, indexes: {platforms: none}}}\npolicy: {repository: {classes: [image]}}"},
	} {
		t.Run(sample.name, func(t *testing.T) {
			u.configure("version: 0.1\n" + sample.config + "\n")
			if err := registryd.Check(u.path("config.yml")); err != nil {
				t.Errorf("Check: %v", err)
			}
		})
	}
	if left, err := filepath.Glob(u.path("proxy/*")); err != nil || len(left) != 0 {
		t.Errorf("Check wrote to the storage of the proxy: %v, %v", left, err)
	}
}

// TestEnvironment checks the overrides that the stock registry takes from variables.
func TestEnvironment(t *testing.T) {
	t.Setenv("REGISTRY_LOG_FORMATTER", "xml")
	u := prepare(t, t.TempDir())
	u.configure("version: 0.1\nstorage: inmemory\n")
	if err := registryd.Check(u.path("config.yml")); err == nil || !strings.Contains(err.Error(), "xml") {
		t.Errorf("Check: %v, want the formatter of the environment refused", err)
	}
}

// TestDebugPort looks at metrics and health, over a reload that moves the port.
func TestDebugPort(t *testing.T) {
	first, second := freeAddr(t), freeAddr(t)
	config := func(debug, path string) string {
		return withHTTP(`addr: "127.0.0.1:0", debug: {addr: "`+debug+`", prometheus: {enabled: true, path: `+path+`}}`) +
			"redis: {addrs: ['127.0.0.1:1'], password: s3cret}\nhealth: {file: [{file: DIR/down, interval: 10ms}]}\n"
	}
	u := start(t, config(first, "/metrics"))
	get(t, u.url("/v2/"))
	u.reload(config(second, "/m"))
	get(t, u.url("/v2/"))
	_, metrics := get(t, "http://"+second+"/m")
	for _, want := range []string{`registry_http_requests_total{code="200",handler="base",method="get"}`, "registry_storage_"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics do not have %s", want)
		}
	}
	if code, vars := get(t, "http://"+second+"/debug/vars"); code != 200 || strings.Contains(vars, "s3cret") {
		t.Errorf("/debug/vars answered %d, shows the password: %t", code, strings.Contains(vars, "s3cret"))
	}
	if code, body := get(t, "http://"+second+"/debug/health"); code != 200 || body != "{}" {
		t.Errorf("health answered %d %s", code, body)
	}
	if err := os.WriteFile(u.path("down"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for code := 0; code != http.StatusServiceUnavailable; {
		code, _ = get(t, "http://"+second+"/debug/health")
		if t.Context().Err() != nil {
			t.Fatal("health never fails")
		}
	}
	if failing := u.server.Status().Failing; failing[u.path("down")] != "file exists" {
		t.Errorf("status tells of %v", failing)
	}
	if code, _ := get(t, u.url("/")); code != http.StatusServiceUnavailable {
		t.Errorf("/ of an unhealthy registry answered %d", code)
	}
	if _, err := http.Get("http://" + first + "/debug/health"); err == nil {
		t.Error("the first debug port is still open")
	}
}

// TestAnswersAsStock checks what clients of the stock registry see on every answer.
func TestAnswersAsStock(t *testing.T) {
	u := start(t, withHTTP(`addr: "127.0.0.1:0", headers: {X-Content-Type-Options: [nosniff]}`))
	for path, want := range map[string]string{"/v2/": "registry/2.0", "/": "", "/v2/none/tags/list": "registry/2.0"} {
		response, err := http.Get(u.url(path))
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		if got := response.Header.Get("Docker-Distribution-API-Version"); got != want {
			t.Errorf("%s: API version %q, want %q", path, got, want)
		}
	}
}
