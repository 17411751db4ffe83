package relation

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesAreByNumber(t *testing.T) {
	r := Relation{Units: map[string]Bag{"a/10": nil, "a/9": nil, "a/2": nil, "odd": nil, "a/-1": nil, "a/x": nil}}
	if diff := cmp.Diff([]string{"a/2", "a/9", "a/10", "a/-1", "a/x", "odd"}, r.Names()); diff != "" {
		t.Error(diff)
	}
}

func TestMergedTakesTheLowestUnit(t *testing.T) {
	r := Relation{Units: map[string]Bag{
		"a/10": {"ca": "ten", "only": "here"}, "a/2": {"ca": "two", "chain": ""}, "a/3": {"chain": "three"},
	}}
	if diff := cmp.Diff(Bag{"ca": "two", "chain": "three", "only": "here"}, r.merged()); diff != "" {
		t.Error(diff)
	}
}

func TestAddress(t *testing.T) {
	for _, test := range []struct {
		bag  Bag
		want string
	}{
		{Bag{"ingress-address": "10.0.0.1", "private-address": "10.0.0.2"}, "10.0.0.1"},
		{Bag{"private-address": "proxy.example.com"}, "proxy.example.com"},
		{Bag{"ingress-address": "fd00::1"}, "fd00::1"},
		{Bag{"ingress-address": "../../etc/passwd", "private-address": "10.0.0.2"}, "10.0.0.2"},
		{Bag{"ingress-address": "a b"}, ""},
		{Bag{"ingress-address": "a,\n- [b]"}, ""},
		{Bag{"ingress-address": ".."}, ""},
		{Bag{"ingress-address": "-v"}, ""},
		{Bag{}, ""},
	} {
		if got := Address(test.bag); got != test.want {
			t.Errorf("%v: %q, want %q", test.bag, got, test.want)
		}
	}
}

func TestRegistryIsWrittenAsPythonDoes(t *testing.T) {
	for _, test := range []struct {
		name string
		in   Registry
		want Bag
	}{
		{"plain", Registry{Netloc: "10.152.1.20:5000", URL: "http://10.152.1.20:5000"}, Bag{
			"registry_netloc": `"10.152.1.20:5000"`, "registry_url": `"http://10.152.1.20:5000"`,
			"basic_user": "null", "basic_password": "null", "tls_ca": "null",
		}},
		{"all", Registry{
			Netloc: "r.example.com", URL: "https://r.example.com", User: "admin", Password: "a<b>&\"\\ü\t😀\x7f",
			CA: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
		}, Bag{
			"registry_netloc": `"r.example.com"`, "registry_url": `"https://r.example.com"`, "basic_user": `"admin"`,
			"basic_password": `"a<b>&\"\\\u00fc\t\ud83d\ude00\u007f"`,
			"tls_ca":         `"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"`,
		}},
	} {
		if diff := cmp.Diff(test.want, test.in.Bag()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestImageIn(t *testing.T) {
	for _, test := range []struct {
		bag  Bag
		want ImageRequest
	}{
		{Bag{"image": `"nginx"`, "tag": `"1.25"`}, ImageRequest{"nginx", "1.25"}},
		{Bag{"image": "nginx:1.25"}, ImageRequest{"nginx:1.25", ""}},
		{Bag{"image": "null", "tag": "null"}, ImageRequest{}},
		{Bag{"image": "[1]"}, ImageRequest{"[1]", ""}},
		{Bag{"image": "1.25"}, ImageRequest{"1.25", ""}},
		{Bag{}, ImageRequest{}},
	} {
		if got := ImageIn(test.bag); got != test.want {
			t.Errorf("%v: %v, want %v", test.bag, got, test.want)
		}
	}
	if diff := cmp.Diff(Bag{"image": `"library/nginx"`, "tag": `"1.25"`}, ImageRequest{"library/nginx", "1.25"}.Bag()); diff != "" {
		t.Error(diff)
	}
}

func TestWebsite(t *testing.T) {
	website := Website{Address: "10.152.1.20", Service: Service{
		Name: "docker-registry", Port: 5000, Options: []string{"mode http", "balance leastconn"},
		Servers: []Server{
			{"docker-registry-0", "10.152.1.20", 5000, "check"},
			{"docker-registry-1", "fd00::21", 5000, "check backup"},
		},
	}}
	want := Bag{
		"hostname": "10.152.1.20", "private-address": "10.152.1.20", "port": "5000", "all_services": "",
		"services": `- service_name: docker-registry
  service_host: 0.0.0.0
  service_port: 5000
  service_options:
   - mode http
   - balance leastconn
  servers:
   - [docker-registry-0, 10.152.1.20, 5000, check]
   - [docker-registry-1, "[fd00::21]", 5000, check backup]
`,
	}
	if diff := cmp.Diff(want, website.Bag()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for key := range want {
		if value, told := NoWebsite()[key]; key != "private-address" && (!told || value != "") {
			t.Errorf("a unit that does not lead leaves %s", key)
		}
	}
}

func TestMonitorBag(t *testing.T) {
	want := Bag{"primary": "True", "timestamp": "", "monitors": `monitors:
  remote:
    nrpe:
      docker_registry:
        command: check_docker_registry
      docker_registry_disk:
        command: check_docker_registry_disk
`}
	if diff := cmp.Diff(want, MonitorBag([]string{"docker_registry_disk", "docker_registry"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPeers(t *testing.T) {
	r := Relation{Units: map[string]Bag{
		"docker-registry/10": {"address": "10.0.0.10", "ingress-address": "192.0.2.10", "website": "told"},
		"docker-registry/9":  {"private-address": "10.0.0.9"},
		"docker-registry/2":  {},
	}}
	want := []Peer{{"docker-registry/9", "10.0.0.9", false, false}, {"docker-registry/10", "10.0.0.10", true, true}}
	if diff := cmp.Diff(want, r.Peers()); diff != "" {
		t.Error(diff)
	}
	for tells, told := range map[bool]string{true: "told", false: ""} {
		bag := PeerBag("10.0.0.5", tells)
		if diff := cmp.Diff(Bag{"address": "10.0.0.5", "website": told}, bag); diff != "" {
			t.Error(diff)
		}
		if got := (Relation{Own: bag}).Tells(); got != tells {
			t.Errorf("%v tells: %v", bag, got)
		}
	}
}

// FuzzQuote holds that what is written is JSON for the same text, in ASCII.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "a\"b\\c", "\x00\x1f\x7f\u2028", "😀é", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		written := quote(text)
		var read string
		if err := json.Unmarshal([]byte(written), &read); err != nil || read != string([]rune(text)) {
			t.Errorf("%q is written as %s, which reads %q, %v", text, written, read, err)
		}
		for _, c := range []byte(written) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q is written as %q", text, written)
			}
		}
	})
}

// FuzzBags holds that no databag is too odd.
func FuzzBags(f *testing.F) {
	f.Add("certificates", `[{"certificate": "x", "ca": 1, "chain": null}]`)
	f.Add("docker-registry_0.processed_requests", `{"10.0.0.5": {"cert": "x", "key": []}}`)
	f.Add("sans", `["a", 1]`)
	f.Add("image", `{"a": "b"}`)
	f.Add("ingress-address", "../x\x00")
	f.Add("tls-ca-chain", `["QQ==", 1]`)
	f.Add("secret-extra", "secret://a/b --x")
	f.Fuzz(func(t *testing.T, key, value string) {
		bag := Bag{key: value, "ca": value}
		r := Relation{ID: "cert-provider:1", App: bag, Own: bag, Units: map[string]Bag{key: bag, "a/0": bag}}
		answers, _ := CertificateAnswers(r, CertificateRequest{Unit: "docker-registry/0", CommonName: "10.0.0.5", CSR: "csr"})
		for _, answer := range answers {
			if answer.Version == 0 && answer.Key.IsZero() {
				t.Error("an answer of version 0 without a key")
			}
		}
		RequestedSANs(bag)
		ImageIn(bag)
		if told := S3In(bag); told.Secret != "" && told.Secret[0] == '-' {
			t.Errorf("secret %q", told.Secret)
		}
		r.Peers()
		if host := r.NagiosHost(); address(host) != host {
			t.Errorf("Nagios host %q", host)
		}
	})
}
