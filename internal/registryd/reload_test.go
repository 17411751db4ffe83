package registryd_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"docker-registry-operator/internal/registryd"
)

// TestRefusedReload gives a serving registry bad configurations. Each must be refused
// with its reason, and the registry must serve on as if nothing had happened.
func TestRefusedReload(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0") // without SO_REUSEPORT
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	good := filesystem("127.0.0.1:0")
	u := start(t, good)
	u.writeCertificate(time.Hour)
	writeFile(t, u.path("empty"), nil)
	addr := u.server.Status().Addr
	for _, test := range []struct{ name, config, want string }{
		{"no yaml", "{", "cannot parse configuration"},
		{"empty", "", "cannot parse configuration"},
		{"no storage", "version: 0.1\n", "no storage configuration provided"},
		{"unknown driver", "version: 0.1\nstorage: {floppy: {}}\n", "StorageDriver not registered: floppy"},
		{"half a driver", "version: 0.1\nstorage: {s3: {region: x}}\n", "cannot build the registry"},
		{"log format", good + "log: {formatter: xml}\n", `unsupported logging formatter: "xml"`},
		{"unknown auth", good + "auth: {magic: {}}\n", "no access controller registered with name: magic"},
		{"half auth", good + "auth: {htpasswd: {realm: x}}\n", "unable to configure authorization (htpasswd)"},
		{"no token bundle", good + "auth: {token: {realm: r, issuer: i, service: s, rootcertbundle: DIR/none}}\n", "no such file"},
		{"redis cache", "version: 0.1\nstorage: {inmemory: {}, cache: {blobdescriptor: redis}}\n", "redis configuration required"},
		{"purge", "version: 0.1\nstorage: {inmemory: {}, maintenance: {uploadpurging: {enabled: true}}}\n", "age must be a duration"},
		{"read only", "version: 0.1\nstorage: {inmemory: {}, maintenance: {readonly: true}}\n", "readonly config key must contain additional keys"},
		{"double check", good + "health: {file: [{file: a}, {file: a}]}\n", "Check already exists: a"},
		{"middleware", good + "middleware: {storage: [{name: magic}]}\n", "no storage middleware registered with name: magic"},
		{"proxy", good + "proxy: {remoteurl: \"ftp://127.0.0.1:1\"}\n", "cannot be a pull-through cache"},
		{"no certificate", withHTTP(`addr: "127.0.0.1:0", tls: {certificate: DIR/none, key: DIR/none}`), "cannot load certificate"},
		{"empty certificate", withHTTP(`addr: "127.0.0.1:0", tls: {certificate: DIR/empty, key: DIR/key.pem}`), "cannot load certificate"},
		{"busy port", withHTTP(fmt.Sprintf("addr: %q", busy.Addr())), "address already in use"},
		{"busy debug port", withHTTP(fmt.Sprintf(`addr: %q, debug: {addr: %q}`, freeAddr(t), busy.Addr())), "address already in use"},
		{"no port", withHTTP(`addr: nonsense`), "cannot listen on"},
		{"network", withHTTP(`addr: x, net: udp`), "unknown network"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u.configure(test.config)
			var answer struct{ Error string }
			if status := u.admin("POST", "/v1/reload", &answer); status != http.StatusUnprocessableEntity {
				t.Errorf("status %d, want 422", status)
			}
			if !strings.Contains(answer.Error, test.want) {
				t.Errorf("error %q does not say %q", answer.Error, test.want)
			}
			status := u.server.Status()
			if diff := cmp.Diff(answer.Error, status.Refused); diff != "" {
				t.Errorf("refused (-answer +status):\n%s", diff)
			}
			if status.Generation != 1 || status.Addr != addr {
				t.Errorf("generation %d at %s, want 1 at %s", status.Generation, status.Addr, addr)
			}
			if code, _ := get(t, u.url("/v2/")); code != http.StatusOK {
				t.Errorf("/v2/ answered %d", code)
			}
		})
	}
	u.reload(good)
	if refused := u.server.Status().Refused; refused != "" {
		t.Errorf("after a good reload refused is still %q", refused)
	}
}

func withHTTP(section string) string {
	return "version: 0.1\nstorage: {filesystem: {rootdirectory: DIR/data}}\nhttp: {" + section + "}\n"
}

// TestStartRefuses makes sure that what a reload refuses does not start either.
func TestStartRefuses(t *testing.T) {
	u := prepare(t, t.TempDir())
	u.configure("version: 0.1\nstorage: {floppy: {}}\n")
	options := registryd.Options{Config: u.path("config.yml"), Admin: u.path("admin.sock"), Log: io.Discard}
	if _, err := registryd.Start(t.Context(), options); err == nil || !strings.Contains(err.Error(), "floppy") {
		t.Errorf("Start: %v", err)
	}
	if err := registryd.Check(options.Config); err == nil || !strings.Contains(err.Error(), "floppy") {
		t.Errorf("Check: %v", err)
	}
	options.Config = u.path("none.yml")
	if _, err := registryd.Start(t.Context(), options); err == nil || !strings.Contains(err.Error(), "cannot read configuration") {
		t.Errorf("Start without a file: %v", err)
	}
	if _, err := os.Stat(options.Admin); err == nil {
		t.Error("admin socket left behind")
	}
}

// TestTLSComesAndGoes turns TLS on and off on one port. The socket must stay, and so
// must connections that are open.
func TestTLSComesAndGoes(t *testing.T) {
	u := prepare(t, t.TempDir())
	notAfter := u.writeCertificate(time.Hour)
	secure := withHTTP(`addr: "127.0.0.1:0", tls: {certificate: DIR/cert.pem, key: DIR/key.pem}`)
	plain := withHTTP(`addr: "127.0.0.1:0"`)
	u.configure(plain)
	u.start()
	addr := u.server.Status().Addr
	old := newClient()
	defer old.CloseIdleConnections()
	if reused := reusedConnection(t, old, "http://"+addr+"/v2/"); reused {
		t.Error("first request reused a connection")
	}
	u.reload(secure)
	if got := u.server.Status(); got.Addr != addr || got.TLS == nil || !got.TLS.NotAfter.Equal(notAfter) {
		t.Errorf("status %+v, want address %s and notAfter %v", got, addr, notAfter)
	}
	if !reusedConnection(t, old, "http://"+addr+"/v2/") {
		t.Error("reload closed an open connection")
	}
	if code, _ := get(t, "https://"+addr+"/v2/"); code != http.StatusOK {
		t.Errorf("https answered %d", code)
	}
	if proto := protocol(t, "https://"+addr+"/v2/"); proto != "HTTP/2.0" {
		t.Errorf("https speaks %s, want HTTP/2.0", proto)
	}
	u.reload(strings.Replace(secure, "tls:", "http2: {disabled: true}, tls:", 1))
	if proto := protocol(t, "https://"+addr+"/v2/"); proto != "HTTP/1.1" {
		t.Errorf("https without HTTP/2 speaks %s, want HTTP/1.1", proto)
	}
	u.reload(plain)
	if code, _ := get(t, "http://"+addr+"/v2/"); code != http.StatusOK {
		t.Errorf("http answered %d", code)
	}
}

func protocol(t *testing.T, url string) string {
	t.Helper()
	client := newClient()
	defer client.CloseIdleConnections()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.Proto
}

func reusedConnection(t *testing.T, client *http.Client, url string) bool {
	t.Helper()
	var reused bool
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return reused
}

// TestH2C makes sure that HTTP/2 without TLS comes and goes with its option.
func TestH2C(t *testing.T) {
	u := start(t, withHTTP(`addr: "127.0.0.1:0", h2c: {enabled: true}`))
	speak := func() error {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: protocols}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Get(u.url("/v2/"))
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	if err := speak(); err != nil {
		t.Errorf("with h2c: %v", err)
	}
	u.reload(withHTTP(`addr: "127.0.0.1:0"`))
	if err := speak(); err == nil {
		t.Error("without h2c the server spoke it")
	}
}

// TestCertificateChangesWithoutReload replaces the files only.
func TestCertificateChangesWithoutReload(t *testing.T) {
	u := prepare(t, t.TempDir())
	u.writeCertificate(time.Hour)
	u.configure(withHTTP(`addr: "127.0.0.1:0", tls: {certificate: DIR/cert.pem, key: DIR/key.pem}`))
	u.start()
	want := u.writeCertificate(5 * time.Hour)
	var got time.Time
	for range 100 {
		conn, err := tls.Dial("tcp", u.server.Status().Addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		got = conn.ConnectionState().PeerCertificates[0].NotAfter
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if got.Equal(want) {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Errorf("still served a certificate until %v, want %v", got, want)
}

// TestAddressMoves changes the port, then to a Unix socket and back.
func TestAddressMoves(t *testing.T) {
	first, second := freeAddr(t), freeAddr(t)
	u := start(t, filesystem(first))
	u.reload(filesystem(second))
	if code, _ := get(t, "http://"+second+"/v2/"); code != http.StatusOK {
		t.Errorf("new port answered %d", code)
	}
	if conn, err := net.Dial("tcp", first); err == nil {
		t.Errorf("old port still open: %v", conn.Close())
	}
	u.reload(withHTTP("net: unix, addr: DIR/http.sock"))
	conn, err := net.Dial("unix", u.path("http.sock"))
	if err != nil {
		t.Fatalf("unix socket: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	u.reload(filesystem(first))
	if code, _ := get(t, "http://"+first+"/v2/"); code != http.StatusOK {
		t.Errorf("first port answered %d", code)
	}
	if _, err := os.Stat(u.path("http.sock")); err == nil {
		t.Error("unix socket left behind")
	}
}

// TestMemorySurvivesReload makes sure that images of the inmemory driver do.
func TestMemorySurvivesReload(t *testing.T) {
	config := "version: 0.1\nstorage: {inmemory: {}}\nhttp: {addr: \"127.0.0.1:0\"}\n"
	u := start(t, config)
	options := []remote.Option{remote.WithAuth(authn.Anonymous), remote.WithTransport(newTransport())}
	if err := pushAndPull(u.server.Status().Addr+"/app:1", options); err != nil {
		t.Fatal(err)
	}
	u.reload(config + "log: {level: error}\n")
	if code, body := get(t, u.url("/v2/app/tags/list")); code != http.StatusOK {
		t.Errorf("tags answered %d: %s", code, body)
	}
}

// TestLevelFollowsReload checks both loggers: the server's and distribution's.
func TestLevelFollowsReload(t *testing.T) {
	u := start(t, filesystem("127.0.0.1:0", "log: {level: error, accesslog: {disabled: true}}"))
	get(t, u.url("/v2/"))
	if got := u.log.String(); got != "" {
		t.Errorf("at level error: %s", got)
	}
	u.reload(filesystem("127.0.0.1:0", "log: {level: debug, fields: {service: mine}}"))
	get(t, u.url("/v2/"))
	for _, want := range []string{"configuration reloaded", `"authorizing request"`, `"service":"mine"`, `"GET /v2/ HTTP/1.1" 200`} {
		if got := u.log.String(); !strings.Contains(got, want) {
			t.Errorf("at level debug %q is missing in: %s", want, got)
		}
	}
}
