package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// common is what the charm gives HAProxy whatever is asked for, but for what it says of ciphers and of
// the log. That is complete here, and goes to standard output, for the sake of which there is one
// thread: of several that write at a time, some give up.
const common = `global
    maxconn 4096
    user haproxy
    group haproxy
    nbthread 1
    log stdout format raw local0
    ssl-default-bind-options prefer-client-ciphers no-sslv3 no-tlsv10 no-tlsv11 no-tls-tickets
    ssl-default-server-options no-sslv3 no-tlsv10 no-tlsv11 no-tls-tickets

defaults
    log global
    mode http
    option httplog
    retries 3
    timeout queue 20000
    timeout connect 5000
    timeout server 50000

frontend prometheus
    bind :8404
    mode http
    http-request use-service prometheus-exporter if { path /metrics }
    no log
`

// twice are the options that both frontend and backend get; forFrontend begin those that only a
// frontend gets.
var (
	twice       = []string{"mode tcp", "option tcplog", "mode http", "option httplog"}
	forFrontend = []string{
		"acl", "backlog", "bind", "capture cookie", "capture request header", "capture response header",
		"clitimeout", "default_backend", "http-request", "maxconn", "monitor fail", "monitor-net", "monitor-uri",
		"option accept-invalid-http-request", "option clitcpka", "option contstats", "option dontlog-normal",
		"option dontlognull", "option http-use-proxy-header", "option log-separate-errors", "option logasap",
		"option socket-stats", "option tcp-smart-accept", "rate-limit sessions", "redirect",
		"tcp-request content accept", "tcp-request content reject", "tcp-request inspect-delay",
		"timeout client", "timeout clitimeout", "use_backend",
	}
)

// Configuration is what HAProxy is configured with for those databags. Databags that would fail the
// charm's hook are an error.
func Configuration(bags Databags) (string, error) {
	asked, err := services(bags)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.WriteString(common)
	for _, s := range asked {
		if err := s.write(&out); err != nil {
			return "", fmt.Errorf("cannot configure service %s: %w", s.Name, err)
		}
	}
	return out.String(), nil
}

func (s *service) write(out *strings.Builder) error {
	front, back := s.divide()
	fmt.Fprintf(out, "\nfrontend haproxy-%s\n    bind %s:%s", *s.Port, *s.Host, *s.Port)
	if len(s.Crts) > 0 {
		out.WriteString(" ssl")
	}
	for _, crt := range s.Crts {
		if crt != "DEFAULT" {
			return errors.New("only the DEFAULT certificate is played here")
		}
		fmt.Fprintf(out, " crt %s no-sslv3", DefaultCertificate)
	}
	fmt.Fprintf(out, "\n    default_backend %s\n", s.Name)
	writeOptions(out, front)
	fmt.Fprintf(out, "\nbackend %s\n", s.Name)
	writeOptions(out, back)
	for i, server := range s.Servers {
		line := fmt.Sprintf("    server %s %s:%s %s", server.name, server.address, server.port, server.options)
		line = strings.ReplaceAll(line, "{i}", strconv.Itoa(i))
		if strings.ContainsAny(line, "{}") {
			return fmt.Errorf("a brace in %q fails the charm's hook", line)
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return nil
}

// divide says which options the frontend gets and which the backend.
func (s *service) divide() (front, back []string) {
	for _, option := range twice {
		if slices.ContainsFunc(s.Options, func(asked string) bool { return strings.HasPrefix(option, asked) }) {
			front, back = append(front, option), append(back, option)
		}
	}
	for _, option := range s.Options {
		to, begins := &back, func(start string) bool { return strings.HasPrefix(strings.TrimSpace(option), start) }
		if slices.ContainsFunc(forFrontend, begins) {
			to = &front
		}
		if !slices.Contains(*to, option) {
			*to = append(*to, option)
		}
	}
	return front, back
}

func writeOptions(out *strings.Builder, options []string) {
	for _, option := range options {
		fmt.Fprintf(out, "    %s\n", strings.TrimSpace(option))
	}
}
