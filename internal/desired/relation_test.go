package desired

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/relation"
)

// behind is a relation with a proxy of that address.
func behind(address string) []relation.Relation {
	return []relation.Relation{{ID: "website:2", Units: map[string]relation.Bag{"haproxy/0": {"ingress-address": address}}}}
}

// peered is the relation with other units, by their numbers.
func peered(addresses map[string]string) []relation.Relation {
	units := map[string]relation.Bag{}
	for unit, address := range addresses {
		units[unit] = relation.Bag{"address": address}
	}
	return []relation.Relation{{ID: "peer:0", Units: units}}
}

// told are the settings that a state tells over a relation.
func told(t *testing.T, state State, id string) map[string]string {
	t.Helper()
	i := slices.IndexFunc(state.Databags, func(bag Databag) bool { return bag.Relation == id })
	if i < 0 {
		t.Fatalf("nothing is told over %s: %v", id, state.Databags)
	}
	return state.Databags[i].Settings
}

func TestNetlocBehindAProxy(t *testing.T) {
	for _, test := range []struct {
		name       string
		change     func(in *Input)
		wantNetloc string
		wantStatus string
	}{
		{"HTTP", func(*Input) {}, "10.0.0.9:5000", "Ready at 10.0.0.5:5000 (http, proxied)."},
		{"HTTP at its own port", func(in *Input) { in.Config.HTTP.Port = 80 }, "10.0.0.9", "Ready at 10.0.0.5:80 (http, proxied)."},
		{"HTTP at the port of HTTPS", func(in *Input) { in.Config.HTTP.Port = 443 }, "10.0.0.9:443", "Ready at 10.0.0.5:443 (http, proxied)."},
		{"IPv6", func(in *Input) { in.Relations.Websites = behind("fd00::9") }, "[fd00::9]:5000", "Ready at 10.0.0.5:5000 (http, proxied)."},
		{"http-host", func(in *Input) {
			in.Config.HTTP.Host = config.URL{Scheme: "https", Netloc: "r.example.com", Path: "/"}
		}, "r.example.com", "Ready at r.example.com (http, proxied)."},
		{"a proxy that has no unit yet", func(in *Input) { in.Relations.Websites[0].Units = nil }, "10.0.0.5:5000", "Ready at 10.0.0.5:5000 (http)."},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input()
			in.Relations.Websites = behind("10.0.0.9")
			in.Relations.Clients = []relation.Relation{{ID: "docker-registry:3"}}
			test.change(&in)
			state := decide(t, in)
			if got := told(t, state, "docker-registry:3")["registry_netloc"]; got != `"`+test.wantNetloc+`"` {
				t.Errorf("clients are told %s, want %s", got, test.wantNetloc)
			}
			if !strings.HasPrefix(state.Status.Message, test.wantStatus) {
				t.Errorf("status %q, want %q", state.Status.Message, test.wantStatus)
			}
			reach, err := Reached(in)
			if err != nil || reach.Netloc != test.wantNetloc {
				t.Errorf("reached at %q, %v", reach.Netloc, err)
			}
		})
	}
}

// TestUnitsTellClientsTheSame is about units without a proxy: clients take what the
// first unit tells, so all tell of that one.
func TestUnitsTellClientsTheSame(t *testing.T) {
	addresses := map[string]string{"docker-registry/2": "10.0.0.2", "docker-registry/10": "10.0.0.10", "docker-registry/9": "10.0.0.9"}
	var bags []map[string]string
	for unit, address := range addresses {
		in := input()
		in.Facts.Unit, in.Facts.Addresses = unit, []string{address}
		in.Config.Auth.Basic = &config.Basic{User: "admin", Password: config.NewSecret("s3cret")}
		others := map[string]string{}
		for other, address := range addresses {
			if other != unit {
				others[other] = address
			}
		}
		in.Relations.Peers = peered(others)
		in.Relations.Clients = []relation.Relation{{ID: "docker-registry:3"}}
		bags = append(bags, told(t, decide(t, in), "docker-registry:3"))
	}
	want := map[string]string{
		"registry_netloc": `"10.0.0.2:5000"`, "registry_url": `"http://10.0.0.2:5000"`,
		"basic_user": `"admin"`, "basic_password": `"s3cret"`, "tls_ca": "null",
	}
	for _, bag := range bags {
		if diff := cmp.Diff(want, bag); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestClientsOfPlainHTTPAreWarnedOf(t *testing.T) {
	const note = " Container runtimes reach a registry over TLS only: integrate cert-provider, or set tls-cert-blob and tls-key-blob."
	for _, test := range []struct {
		in   Input
		want string
	}{
		{input(), "Ready at 10.0.0.5:5000 (http)." + note},
		{secured(t, 2040), "Ready at 10.0.0.5:5000 (https)."},
	} {
		test.in.Relations.Clients = []relation.Relation{{ID: "docker-registry:3"}}
		if got := decide(t, test.in).Status.Message; got != test.want {
			t.Errorf("status %q, want %q", got, test.want)
		}
	}
}

func TestWebsiteIsToldByTheLeader(t *testing.T) {
	const begin = "- service_name: docker-registry\n  service_host: 0.0.0.0\n  service_port: 5000\n  service_options:\n"
	peers := peered(map[string]string{"docker-registry/10": "10.0.0.10", "docker-registry/1": "10.0.0.1"})
	for _, test := range []struct {
		name   string
		change func(in *Input)
		want   string
	}{
		{"alone", func(in *Input) { in.Relations.Peers = nil }, `   - mode http
   - balance leastconn
   - option redispatch 1
   - option httpchk GET / HTTP/1.0
  servers:
   - [docker-registry-2, 10.0.0.5, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter]
`},
		{"with others", func(*Input) {}, `   - mode http
   - balance leastconn
   - option redispatch 1
   - option httpchk GET / HTTP/1.0
  servers:
   - [docker-registry-1, 10.0.0.1, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter]
   - [docker-registry-2, 10.0.0.5, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter backup]
   - [docker-registry-10, 10.0.0.10, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter backup]
`},
		{"shared storage, one that may not serve yet", func(in *Input) {
			in.Config.Storage.Backend = config.S3{Bucket: "b", V4Auth: true}
			in.Relations.Peers[0].Units["docker-registry/10"] = relation.Bag{"ingress-address": "10.0.0.10"}
		}, `   - mode http
   - balance leastconn
   - option redispatch 1
   - option httpchk GET / HTTP/1.0
  servers:
   - [docker-registry-1, 10.0.0.1, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter]
   - [docker-registry-2, 10.0.0.5, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter]
   - [docker-registry-10, 10.0.0.10, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter backup]
`},
		{"TLS", func(in *Input) { in.Facts.Files, in.Relations.Peers = secured(t, 2040).Facts.Files, nil }, `   - mode tcp
   - balance leastconn
   - option redispatch 1
   - option httpchk GET / HTTP/1.0
  servers:
   - [docker-registry-2, 10.0.0.5, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter check-ssl verify none]
`},
		{"TLS that asks for certificates", func(in *Input) {
			in.Facts.Files, in.Relations.Peers = secured(t, 2040).Facts.Files, nil
			in.Config.TLS.Clients = &config.ClientAuth{Required: true}
		}, `   - mode tcp
   - balance leastconn
   - option redispatch 1
  servers:
   - [docker-registry-2, 10.0.0.5, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter]
`},
		{"TLS ended by the proxy", func(in *Input) {
			in.Facts.Files, in.Relations.Peers = secured(t, 2040).Facts.Files, nil
			in.Config.TLS.Reencrypt, in.Config.TLS.Clients = true, &config.ClientAuth{}
		}, `   - mode http
   - balance leastconn
   - option redispatch 1
   - option httpchk GET / HTTP/1.0
   - http-request set-header X-Forwarded-Proto https
  crts: [DEFAULT]
  servers:
   - [docker-registry-2, 10.0.0.5, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 fastinter 400 observe layer4 error-limit 1 on-error fastinter ssl check-ssl ca-file /etc/docker/registry/ca.crt verify required crt /var/lib/haproxy/default.pem]
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input()
			in.Facts.Unit, in.Facts.Leader = "docker-registry/2", true
			in.Relations.Websites = behind("10.0.0.9")
			in.Relations.Peers = []relation.Relation{{ID: peers[0].ID, Units: map[string]relation.Bag{
				"docker-registry/10": {"address": "10.0.0.10"}, "docker-registry/1": {"address": "10.0.0.1"},
			}}}
			test.change(&in)
			got := told(t, decide(t, in), "website:2")
			want := map[string]string{
				"hostname": "10.0.0.5", "private-address": "10.0.0.5", "port": "5000", "all_services": "", "services": begin + test.want,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			in.Facts.Leader = false
			if diff := cmp.Diff(relation.NoWebsite(), told(t, decide(t, in), "website:2")); diff != "" {
				t.Errorf("a follower tells (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatusSaysWhatAFailoverServes(t *testing.T) {
	in := input()
	in.Relations.Websites = behind("10.0.0.9")
	in.Relations.Peers = peered(map[string]string{"docker-registry/3": "10.0.0.3"})
	want := "Ready at 10.0.0.5:5000 (http, proxied). If this unit fails, docker-registry/3 serves its own images in its place."
	if got := decide(t, in).Status.Message; got != want {
		t.Errorf("primary: %q, want %q", got, want)
	}
	in.Facts.Unit = "docker-registry/4"
	want = "Ready at 10.0.0.5:5000 (http, proxied). Backup of docker-registry/3: after a failover clients get the images of this unit."
	if got := decide(t, in).Status.Message; got != want {
		t.Errorf("backup: %q, want %q", got, want)
	}
	in.Config.Storage.Backend = config.S3{Bucket: "b", V4Auth: true}
	if got, want := decide(t, in).Status.Message, "Ready at 10.0.0.5:5000 (http, proxied)."; got != want {
		t.Errorf("shared storage: %q, want %q", got, want)
	}
}

// TestImagesAreTakenOverOnce is about images that another charm's registry wrote as root: as long as one
// of them runs it may write more.
func TestImagesAreTakenOverOnce(t *testing.T) {
	former := []relation.Relation{{ID: "peer:0", Units: map[string]relation.Bag{"docker-registry/1": {"ingress-address": "10.0.0.6"}}}}
	for _, test := range []struct {
		name    string
		foreign bool
		image   Image
		peers   []relation.Relation
		want    bool
	}{
		{"own", false, Image{}, nil, false},
		{"foreign", true, Image{}, nil, true},
		{"foreign, and a registry that runs as root", true, Image{Stock: true, Major: 2}, nil, false},
		{"foreign, with a unit of this charm", true, Image{}, peered(map[string]string{"docker-registry/1": "10.0.0.6"}), true},
		{"foreign, with a unit of another charm", true, Image{}, former, false},
	} {
		in := input()
		in.Facts.ForeignData, in.Facts.Image, in.Relations.Peers = test.foreign, test.image, test.peers
		state := decide(t, in)
		if state.TakeOver != test.want {
			t.Errorf("%s: images are taken over: %v, want %v", test.name, state.TakeOver, test.want)
		}
		if test.foreign && !slices.Contains(state.Workload.Capabilities, "DAC_OVERRIDE") {
			t.Errorf("%s: the registry cannot write among them: %v", test.name, state.Workload.Capabilities)
		}
	}
}

func TestPeersAreToldTheAddress(t *testing.T) {
	in := input()
	in.Relations.Peers = peered(nil)
	if diff := cmp.Diff(map[string]string{"address": "10.0.0.5", "website": ""}, told(t, decide(t, in), "peer:0")); diff != "" {
		t.Error(diff)
	}
}

func TestOneUnitTellsProxies(t *testing.T) {
	for _, test := range []struct {
		name              string
		leads, told, peer bool
		unrelated         bool
		want              bool
	}{
		{name: "a leader", leads: true, want: true},
		{name: "a leader whose predecessor still tells", leads: true, peer: true, want: true},
		{name: "a leader without a proxy", leads: true, told: true, unrelated: true},
		{name: "a follower"},
		{name: "a former leader that nobody follows yet", told: true, want: true},
		{name: "a former leader", told: true, peer: true},
		{name: "a former leader without a proxy", told: true, unrelated: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input()
			in.Facts.Leader = test.leads
			if !test.unrelated {
				in.Relations.Websites = behind("10.0.0.9")
			}
			in.Relations.Peers = []relation.Relation{{
				ID: "peer:0", Own: relation.PeerBag("10.0.0.5", test.told),
				Units: map[string]relation.Bag{"docker-registry/1": relation.PeerBag("10.0.0.6", test.peer)},
			}}
			state := decide(t, in)
			if got := told(t, state, "peer:0")["website"] != ""; got != test.want {
				t.Errorf("it lets the others know that it tells proxies: %v", got)
			}
			if !test.unrelated && (told(t, state, "website:2")["services"] != "") != test.want {
				t.Errorf("it tells proxies %v", told(t, state, "website:2"))
			}
		})
	}
}

func TestMonitoring(t *testing.T) {
	in := secured(t, 2040)
	in.Config.Nagios = config.Nagios{Context: "juju", Groups: []string{"juju", "web"}}
	in.Relations.Monitors = []relation.Relation{{ID: "nrpe-external-master:4", Units: map[string]relation.Bag{"nrpe/0": {}}}}
	if files := paths(decide(t, in).Files); slices.ContainsFunc(files, nagios) {
		t.Errorf("files where there is no NRPE: %v", files)
	}
	in.Facts.Checks, in.Facts.Exports = true, true
	state := decide(t, in)
	want := map[string]string{
		"/etc/nagios/nrpe.d/check_docker_registry.cfg":             "# Written by Juju.\ncommand[check_docker_registry]=/usr/lib/nagios/plugins/check_http -I 127.0.0.1 -p 5000 -e \" 200 OK\" -u / -S\n",
		"/etc/nagios/nrpe.d/check_docker_registry_certificate.cfg": "# Written by Juju.\ncommand[check_docker_registry_certificate]=/usr/lib/nagios/plugins/check_http -S -I 127.0.0.1 -p 5000 -C 30,7\n",
		"/etc/nagios/nrpe.d/check_docker_registry_disk.cfg":        "# Written by Juju.\ncommand[check_docker_registry_disk]=/usr/lib/nagios/plugins/check_disk -w 20% -c 10% -W 20% -K 10% -p /srv/registry\n",
		"/var/lib/nagios/export/service__juju-docker-registry-0_check_docker_registry.cfg": `# Written by Juju.
define service {
    use                             active-service
    host_name                       juju-docker-registry-0
    service_description             juju-docker-registry-0[docker_registry] Registry answers
    check_command                   check_nrpe!check_docker_registry
    servicegroups                   juju,web
}
`,
	}
	for _, file := range state.Files {
		if content, wanted := want[file.Path]; wanted && content != string(file.Content) {
			t.Errorf("%s:\n%s", file.Path, cmp.Diff(content, string(file.Content)))
		}
		delete(want, file.Path)
	}
	for path := range want {
		t.Errorf("%s is not written", path)
	}
	if got := told(t, state, "nrpe-external-master:4")["primary"]; got != "True" {
		t.Errorf("primary %q", got)
	}
}

func nagios(path string) bool { return strings.Contains(path, "nagios") }

func TestChecksOfARegistry(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(in *Input)
		want   []string
	}{
		{"S3 has no disk", func(in *Input) { in.Config.Storage.Backend = config.S3{V4Auth: true} }, []string{
			`check_http -I 127.0.0.1 -p 5000 -e " 200 OK" -u /`}},
		{"clients need certificates", func(in *Input) {
			in.Config.TLS.Clients = &config.ClientAuth{Required: true}
			in.Facts.Files = secured(t, 2040).Facts.Files
			in.Config.Storage.Backend = config.S3{V4Auth: true}
		}, []string{"check_tcp -H 127.0.0.1 -p 5000 -S", "check_http -S -I 127.0.0.1 -p 5000 -C 30,7"}},
	} {
		in := input()
		test.change(&in)
		served, err := serve(in)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range checks(in, served.cert) {
			got = append(got, c.command)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestNagiosHost(t *testing.T) {
	in := input()
	in.Config.Nagios.Context = "prod"
	in.Relations.Monitors = []relation.Relation{{Units: map[string]relation.Bag{"nrpe/0": {"nagios_hostname": "rack-7"}}}}
	if got := nagiosHost(in); got != "rack-7" {
		t.Errorf("host %q", got)
	}
	in.Relations.Monitors[0].Units["nrpe/0"]["nagios_hostname"] = "../../etc"
	if got := nagiosHost(in); got != "prod-docker-registry-0" {
		t.Errorf("host %q", got)
	}
}

// TestRemaining holds that a certificate that is renewed in time is not warned of.
func TestRemaining(t *testing.T) {
	const day = 24 * 60 * 60
	for days, want := range map[int64][2]int64{3650: {30, 7}, 365: {29, 7}, 90: {7, 1}, 1: {1, 1}} {
		warn, critical := remaining(config.Certificate{NotAfter: days * day})
		if warn != want[0] || critical != want[1] {
			t.Errorf("%d days: %d and %d, want %v", days, warn, critical, want)
		}
		if left := days - days*renewAt/100; days > 30 && warn >= left {
			t.Errorf("%d days: warns %d days before the end, and is renewed %d days before", days, warn, left)
		}
	}
}
