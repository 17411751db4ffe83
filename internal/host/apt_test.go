package host

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// testKey is a key made for this test, and its fingerprint.
const (
	testPrint = "AE91156F8ADF866156B0880AF6E94BDCA5C02111"
	testKey   = `-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawPiFRYJKwYBBAHaRw8BAQdAuPcHxPAmRtLm3kbPtEx+DB+WpECVxi50ZIVj
WItv7du0F1Rlc3QgPHRlc3RAZXhhbXBsZS5jb20+iJAEExYIADgWIQSukRVvit+G
YVawiAr26UvcpcAhEQUCawPiFQIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAK
CRD26UvcpcAhEd63AQDSxDdLkfEilW1NSp9S3gbHUtQGVRf1ra+iY2/S6g73MwD+
PeENqrHhYEaaIrMXFk+PLykPkNPsKEEsL+XB8Hv/5wU=
=L9Cl
-----END PGP PUBLIC KEY BLOCK-----
`
)

func TestParseSource(t *testing.T) {
	for _, test := range []struct {
		in   string
		want source
	}{
		{"", source{}},
		{"distro", source{}},
		{" deb http://a/ jammy main ", source{line: "deb http://a/ jammy main"}},
		{"ppa:me/that", source{archive: "ppa:me/that"}},
		{"cloud-archive:caracal", source{archive: "cloud-archive:caracal"}},
		{"cloud:jammy-antelope", source{line: "deb " + cloudArchive + " jammy-updates/antelope main"}},
		{"cloud:jammy-antelope/proposed", source{line: "deb " + cloudArchive + " jammy-proposed/antelope main"}},
		{"cloud:jammy-updates/antelope", source{line: "deb " + cloudArchive + " jammy-updates/antelope main"}},
	} {
		got, err := parseSource(test.in, "jammy")
		if err != nil || got != test.want {
			t.Errorf("%q: %+v, %v", test.in, got, err)
		}
	}
	for _, bad := range []string{"http://a/", "snap:docker", "deb http://a/ x\ndeb http://b/ y"} {
		if got, err := parseSource(bad, "jammy"); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestPackages(t *testing.T) {
	m := newMachine(t, true)
	host := config.Host{
		Sources:  []string{"deb [arch=amd64] http://a/ jammy main", "ppa:me/that", "deb http://me:secret@b/ jammy main"},
		Keys:     []string{testKey, "", ""},
		Packages: []string{"jq", "nfs-common"},
	}
	packages := func(host config.Host) []string {
		t.Helper()
		m.runner.lines = nil
		if err := m.Packages(t.Context(), host, desired.Proxy{}); err != nil {
			t.Fatal(err)
		}
		return m.runner.lines
	}
	m.same([]string{
		"apt-get update",
		"apt-get install --no-install-recommends -- software-properties-common",
		"add-apt-repository --yes ppa:me/that",
		"apt-get update",
		"apt-get install --no-install-recommends -- jq nfs-common",
	}, packages(host))
	const list = "/etc/apt/sources.list.d/docker-registry-charm-"
	m.file(list+"0.list", "deb [signed-by=/etc/apt/keyrings/docker-registry-charm-0.asc arch=amd64] http://a/ jammy main\n")
	m.file(list+"2.list", "deb http://me:secret@b/ jammy main\n")
	m.file("/etc/apt/keyrings/docker-registry-charm-0.asc", testKey)
	if there, err := look(m.root + list + "2.list"); err != nil || there.mode != 0o600 {
		t.Errorf("a source with a password has mode %v, %v", there.mode, err)
	}
	m.same(nil, packages(host))
	m.same([]string{"add-apt-repository --yes --remove ppa:me/that"}, packages(config.Host{}))
	m.file(list+"0.list", "")
	m.same(nil, packages(config.Host{}))
}

func TestUnknownPackage(t *testing.T) {
	const unable = "Reading package lists...\nE: Unable to locate package jqq\n"
	for _, test := range []struct {
		name, update, install string
		host                  config.Host
		want                  string
		mistake               bool
	}{{
		name: "misspelt", install: unable, host: config.Host{Packages: []string{"jqq"}}, mistake: true,
		want: `option "extra_packages": must name what the machine's APT sources have (E: Unable to locate package jqq)`,
	}, {
		name: "no such version", install: "E: Version '9' for 'jq' was not found\n", host: config.Host{Packages: []string{"jq=9"}}, mistake: true,
		want: `option "extra_packages": must name what the machine's APT sources have (E: Version '9' for 'jq' was not found)`,
	}, {
		name: "custom engine", install: "E: Package 'docker-ce' has no installation candidate\n", mistake: true,
		host: config.Host{Engine: config.Engine{Source: "custom", Custom: config.CustomEngine{Package: "docker-ce"}}},
		want: `option "docker_runtime_package": must name what the machine's APT sources have (E: Package 'docker-ce' has no installation candidate)`,
	}, {
		name: "archive down", update: "E: Failed to fetch http://a/\n", install: unable, host: config.Host{Packages: []string{"jqq"}},
		want: `cannot install package "jqq": E: Unable to locate package jqq (package lists are old: E: Failed to fetch http://a/)`,
	}, {
		name: "broken", install: "E: Sub-process /usr/bin/dpkg returned an error code (1)\n", host: config.Host{Packages: []string{"jq"}},
		want: `cannot install package "jq": E: Sub-process /usr/bin/dpkg returned an error code (1)`,
	}} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t, true)
			m.runner.fail = map[string]string{"apt-get install": test.install}
			if test.update != "" {
				m.runner.fail["apt-get update"] = test.update
			}
			_, err := m.Ensure(t.Context(), test.host, desired.Proxy{})
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if problems := (config.Problems)(nil); errors.As(err, &problems) != test.mistake {
				t.Errorf("a mistake of the operator: %v", !test.mistake)
			}
		})
	}
}

func TestCustomEngine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/gpg" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, testKey)
	}))
	defer server.Close()
	m := newMachine(t, true)
	m.bootAt("systemctl restart")
	custom := config.CustomEngine{Repository: "deb [arch={ARCH}] https://download.example/ {CODE} stable", KeyURL: server.URL + "/none", Package: "docker-ce"}
	host := config.Host{Hold: true, Engine: config.Engine{Source: "custom", Custom: custom}}
	_, err := m.Ensure(t.Context(), host, desired.Proxy{})
	if err == nil || !strings.HasSuffix(err.Error(), "/none answers 404 Not Found") {
		t.Errorf("got %v", err)
	}
	host.Engine.Custom.KeyURL = server.URL + "/gpg"
	lines := m.ensure(host)
	if want := "apt-get install --no-install-recommends -- docker-ce"; len(lines) < 2 || lines[1] != want {
		t.Errorf("commands %q", lines)
	}
	m.file("/etc/apt/sources.list.d/docker-registry-charm-engine.list",
		"deb [signed-by=/etc/apt/keyrings/docker-registry-charm-engine.asc arch="+runtime.GOARCH+"] https://download.example/ jammy stable\n")
	m.same(nil, m.ensure(host))
}

func TestFindKey(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		io.WriteString(w, testKey)
	}))
	defer server.Close()
	address := strings.Replace(server.URL, "http", "hkp", 1)
	id := testPrint[len(testPrint)-16:]
	key, err := findKey(context.Background(), "0x"+strings.ToLower(id), address, desired.Proxy{})
	if err != nil || string(key) != testKey {
		t.Errorf("%q, %v", key, err)
	}
	if want := "/pks/lookup?op=get&options=mr&search=0x" + id; asked != want {
		t.Errorf("asked for %s", asked)
	}
	for in, want := range map[string]string{
		"0123456789ABCDEF": `key server "` + address + `" gave key ` + testPrint + ` for ID 0123456789ABCDEF`,
		"my key":           "its key must be a key ID or an ASCII armoured key",
		"ABC":              "its key must be a key ID or an ASCII armoured key",
	} {
		if _, err := findKey(context.Background(), in, address, desired.Proxy{}); err == nil || err.Error() != want {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzFingerprint(f *testing.F) {
	f.Add(testKey)
	f.Add(armourHead + "\n\nmDM=\n-----END")
	f.Fuzz(func(t *testing.T, text string) {
		if print, err := fingerprint([]byte(text)); err == nil && len(print) != 40 {
			t.Errorf("fingerprint %q", print)
		}
	})
}
