package proxy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ofLeader is what the leader of two units tells over plain HTTP.
const ofLeader = `- service_name: docker-registry
  service_host: 0.0.0.0
  service_port: 5000
  service_options:
   - mode http
   - balance leastconn
   - option httpchk GET / HTTP/1.0
  servers:
   - [docker-registry-0, 10.152.1.20, 5000, check inter 2000 rise 2 fall 5 maxconn 4096]
   - [docker-registry-1, 10.152.1.21, 5000, check inter 2000 rise 2 fall 5 maxconn 4096 backup]
`

func TestConfiguration(t *testing.T) {
	for _, test := range []struct {
		name string
		bags Databags
		want string
	}{
		{name: "nobody tells anything", bags: Databags{"docker-registry/0": {"private-address": "10.152.1.20"}}},
		{
			name: "a leader and a follower",
			bags: Databags{
				"docker-registry/0": {"hostname": "10.152.1.20", "private-address": "10.152.1.20", "port": "5000", "services": ofLeader},
				"docker-registry/1": {"private-address": "10.152.1.21"},
			},
			want: `
frontend haproxy-5000
    bind 0.0.0.0:5000
    default_backend docker-registry
    mode http

backend docker-registry
    mode http
    balance leastconn
    option httpchk GET / HTTP/1.0
    server docker-registry-0 10.152.1.20:5000 check inter 2000 rise 2 fall 5 maxconn 4096
    server docker-registry-1 10.152.1.21:5000 check inter 2000 rise 2 fall 5 maxconn 4096 backup
`,
		},
		{
			name: "a follower that has kept its port becomes one server more",
			bags: Databags{
				"docker-registry/0": {"private-address": "10.152.1.20", "services": "- {service_name: docker-registry, service_host: 0.0.0.0, service_port: 5000, servers: [[a, b, 1, check]]}"},
				"docker-registry/1": {"private-address": "10.152.1.21", "port": "5000"},
			},
			want: `
frontend haproxy-5000
    bind 0.0.0.0:5000
    default_backend docker-registry

backend docker-registry
    server a b:1 check
    server docker-registry-1-5000 10.152.1.21:5000
`,
		},
		{
			name: "TLS that the proxy ends",
			bags: Databags{"r/0": {"services": `- service_name: r
  service_host: 0.0.0.0
  service_port: 443
  service_options: [mode http, "http-request set-header X-Forwarded-Proto https", option redispatch 1, timeout client 1h]
  crts: [DEFAULT]
  servers:
  - [r-0, "[fd00::5]", 443, [ssl, verify required]]
`}},
			want: `
frontend haproxy-443
    bind 0.0.0.0:443 ssl crt /var/lib/haproxy/default.pem no-sslv3
    default_backend r
    mode http
    http-request set-header X-Forwarded-Proto https
    timeout client 1h

backend r
    mode http
    option redispatch 1
    server r-0 [fd00::5]:443 ssl verify required
`,
		},
		{
			name: "units that ask for the same service share it, the first one decides",
			bags: Databags{
				"r/0": {"services": "- {service_name: r, service_port: 1, service_host: h, service_options: 'mode tcp, balance source', servers: [[a, x, 1, null], [b, x, 2, check]]}"},
				"r/1": {"services": "- {service_name: r, service_port: 2, service_options: [mode http], servers: [[b, x, 2, check], [c, x, 3, check]]}\n- {service_name: s}"},
			},
			want: `
frontend haproxy-1
    bind h:1
    default_backend r
    mode tcp

backend r
    mode tcp
    balance source
    server a x:1
    server b x:2 check
    server c x:3 check

frontend haproxy-3
    bind 0.0.0.0:3
    default_backend s

backend s
`,
		},
		{
			name: "nobody asks for a service",
			bags: Databags{
				"web/0": {"private-address": "10.0.0.1", "port": "8080"}, "web/1": {"private-address": `"10.0.0.2"`, "port": `"8080"`},
				"web/2": {"private-address": "10.0.0.3", "port": "8080", "service_name": "nosuch"},
			},
			want: `
frontend haproxy-80
    bind 0.0.0.0:80
    default_backend haproxy_service

backend haproxy_service
    balance leastconn
    cookie SRVNAME insert
    server web-0-8080 10.0.0.1:8080 maxconn 100 cookie S0 check
    server web-1-8080 10.0.0.2:8080 maxconn 100 cookie S1 check
`,
		},
		{
			name: "a unit that answers for all of its application",
			bags: Databags{
				"apache/0": {"private-address": "10.0.0.9", "port": "80", "all_services": "- {service_name: gone, service_host: h, service_port: 81, servers: [[a, x, 1, check]]}"},
				"apache/1": {"services": "- {service_name: web, service_host: h, service_port: 80}"},
			},
			want: `
frontend haproxy-81
    bind h:81
    default_backend gone

backend gone
    server a 10.0.0.9:81 check
    server apache-0-80 10.0.0.9:80

frontend haproxy-80
    bind h:80
    default_backend web

backend web
`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Configuration(test.bags)
			if err != nil {
				t.Fatal(err)
			}
			asked, ok := strings.CutPrefix(got, common)
			if !ok {
				t.Errorf("what is common to all is missing:\n%s", got)
			}
			if diff := cmp.Diff(test.want, asked); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNoConfiguration holds what would fail a hook of the charm against its author.
func TestNoConfiguration(t *testing.T) {
	for _, test := range []struct{ name, services, want string }{
		{"JSON", `[{"service_name": "r"}]`, "cannot read databag of r/0: services is JSON, of which the charm reads no YAML"},
		{"no name", "- {service_port: 1}", "cannot read databag of r/0: a service has no service_name"},
		{"a server of three", "- {service_name: r, servers: [[a, b, 1]]}", "cannot read databag of r/0: cannot read services: line 1: a server has a name, an address, a port and options"},
		{"no port at all", "- {service_name: r, servers: [[a, b, 1, c]]}", "no service has an address and a port, which fails the charm's hook"},
		{"a port that is none", "- {service_name: r, service_host: h, service_port: 65536, servers: [[a, b, 1, c]]}", `service r: port "65536" is none`},
		{"a brace", "- {service_name: r, service_host: h, service_port: 1, servers: [[a, b, 1, '{']]}", `cannot configure service r: a brace in "    server a b:1 {" fails the charm's hook`},
		{"a certificate", "- {service_name: r, service_host: h, service_port: 1, crts: [AAAA], servers: [[a, b, 1, c]]}", "cannot configure service r: only the DEFAULT certificate is played here"},
		{"more backends", "- {service_name: r, backends: [{backend_name: b}]}", "cannot read databag of r/0: service r: errorfiles and backends are not played here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Configuration(Databags{"r/0": {"services": test.services}})
			if err == nil || err.Error() != test.want {
				t.Errorf("error:\n got %v\nwant %s", err, test.want)
			}
		})
	}
}
